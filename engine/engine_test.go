package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestDefineRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		define func()
		want   string
	}{
		"taken": {func() {
			engine.Define("square", func(context.Context, int) (int, error) { return 0, nil })
		}, `Define("square"): the name is taken`},
		"no name": {func() {
			engine.Define("", func(context.Context, int) (int, error) { return 0, nil })
		}, "a name is needed"},
		"reserved": {func() {
			engine.Define("yarnd.x", func(context.Context, int) (int, error) { return 0, nil })
		}, "the engine's own"},
		"input": {func() {
			engine.Define("in", func(context.Context, struct{ C chan int }) (int, error) { return 0, nil })
		}, ".C is a chan"},
		"result": {func() {
			engine.Define("out", func(context.Context, int) (func(), error) { return nil, nil })
		}, "is a func"},
		"refs in result": {func() {
			engine.Define("refs", func(context.Context, int) ([]engine.Ref[int], error) { return nil, nil })
		}, "holds Refs"},
		"nil": {func() {
			engine.Define[int, int]("nil", nil)
		}, "no function"},
		"command": {func() { engine.Command(nil) }, "without a program"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("panic %q does not say %q", got, c.want)
				}
			}()
			c.define()
		})
	}
}

func TestTaskErrorText(t *testing.T) {
	id := engine.TaskID{Job: 3, Index: 17}
	for want, e := range map[string]*engine.TaskError{
		"task inc (3/17) failed on nm1 in attempt 2: no disk":              {Task: id, Name: "inc", Kind: engine.FailUser, Message: "no disk", Attempt: 2, Host: "nm1"},
		"task 3/17 was cancelled":                                          {Task: id, Kind: engine.FailCancelled},
		"task 3/17 failed on nm1, and with it what depends on it: no disk": {Task: id, Kind: engine.FailUpstream, Message: "no disk", Host: "nm1", Attempt: 2},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	e := &engine.TaskError{Task: id, Kind: engine.FailDied, Stack: "goroutine 1\n", Output: []byte("last words\n")}
	if got, want := fmt.Sprintf("%+v", e), "task 3/17 failed\n\ngoroutine 1\n\nend of its standard error:\nlast words"; got != want {
		t.Errorf("got %q", got)
	}
	if !errors.Is(e, engine.ErrWorkerLost) || errors.Is(e, engine.ErrCancelled) {
		t.Error("the kind is told wrongly")
	}
}

// A future that could not be submitted says so wherever it is used.
func TestFutureThatCannotBe(t *testing.T) {
	c := enginetest.New(t, 1)
	knot := &cyclic{N: 1}
	knot.Next = knot
	f := node.Submit(t.Context(), c, *knot)
	<-f.Done()
	_, err := f.Result(t.Context())
	if err == nil || !strings.Contains(err.Error(), "submit node") || f.Status() != engine.Failed || f.ID().Job != 0 {
		t.Errorf("%v, status %v, id %v", err, f.Status(), f.ID())
	}
	after := inc.Submit(t.Context(), c, f.Ref())
	if _, got := after.Result(t.Context()); !errors.Is(got, err) {
		t.Errorf("what depends on it: %v", got)
	}
	if err := f.Cancel(t.Context()); err == nil {
		t.Error("it was cancelled")
	}
	if got := engine.Publish(t.Context(), c, "x", f); !errors.Is(got, err) {
		t.Errorf("publish: %v", got)
	}
	f.Release()
}

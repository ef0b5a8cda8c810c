package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

const pythonModule = `
import os, pickle

class Model:
    def __init__(self, factor): self.factor, self.weights = factor, bytearray(1 << 20)
    def __reduce_ex__(self, protocol): return (restore, (self.factor, pickle.PickleBuffer(self.weights)))

def restore(factor, weights):
    m = Model(factor)
    m.weights = weights
    return m

def square(n): return n * n
def area(Width, Height): return {"Area": Width * Height, "Who": "python"}
def train(factor): return Model(factor)
def apply(x): return x["Model"].factor * x["X"] + len(x["Model"].weights)
def twice(x): return x["Of"] * 2
def fail(n): raise LookupError("no %d" % n)
def die(n): os._exit(9)
`

type pythonSide struct{ Width, Height int }

type pythonApply struct {
	Model engine.Ref[engine.PyObject]
	X     int
}

type pythonArea struct {
	Area int
	Who  string
}

type pythonTwice struct{ Of engine.Ref[string] }

var shout = engine.Define("python-test-shout", func(_ context.Context, s string) (string, error) { return s + "!", nil })

// TestPython: functions by the name of their module, with values, Refs and objects.
func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 in the PATH: Python tasks are not tested here")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "models.py"), []byte(pythonModule), 0o600); err != nil {
		t.Fatal(err)
	}
	env := engine.Env(map[string]string{"PYTHONPATH": dir})
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		square := engine.Python[int, int]("models:square", env)
		numbers := slices.Collect(func(yield func(int) bool) {
			for i := range 300 {
				if !yield(i) {
					return
				}
			}
		})
		got, err := square.Map(ctx, client, slices.Values(numbers)).Gather(deadline(t))
		if err != nil || len(got) != 300 || got[299] != 299*299 {
			t.Fatalf("%v, %v", got, err)
		}
		want(t, engine.Python[pythonSide, pythonArea]("models:area", env, engine.Spread()).Submit(ctx, client, pythonSide{3, 4}), pythonArea{12, "python"})
		model := engine.Python[int, engine.PyObject]("models:train", env).Submit(ctx, client, 10)
		apply := engine.Python[pythonApply, int]("models:apply", env)
		want(t, apply.Submit(ctx, client, pythonApply{model.Ref(), 7}), 70+1<<20)
		held, err := model.Result(deadline(t))
		if err != nil || held.Size() < 1<<20 {
			t.Fatalf("%v, %v", held, err)
		}
		want(t, apply.Submit(ctx, client, pythonApply{engine.Value(held), 8}), 80+1<<20)
		loud := shout.Submit(ctx, client, "ho")
		want(t, engine.Python[pythonTwice, string]("models:twice", env).Submit(ctx, client, pythonTwice{loud.Ref()}), "ho!ho!")
		e := wantTaskError(t, engine.Python[int, int]("models:fail", env).Submit(ctx, client, 5), engine.FailUser)
		if !strings.HasPrefix(e.Message, "LookupError: no 5") || !strings.Contains(e.Stack, "in fail") || e.Name != "models:fail" {
			t.Errorf("%#v", e)
		}
		e = wantTaskError(t, engine.Python[int, int]("models:die", env, engine.Deaths(1)).Submit(ctx, client, 5), engine.FailDied)
		if e.ExitCode != 9 {
			t.Errorf("%#v", e)
		}
		want(t, square.Submit(ctx, client, 9), 81)
	})
}

func TestPythonPanics(t *testing.T) {
	for i, f := range []func(){
		func() { engine.Python[int, int]("module") },
		func() { engine.Python[int, int](":f") },
		func() { engine.Python[chan int, int]("m:f") },
		func() { engine.Python[int, engine.Ref[int]]("m:f") },
		func() { engine.PythonPickle[int, int]("f", nil) },
	} {
		func() {
			defer func() {
				if what := fmt.Sprint(recover()); !strings.HasPrefix(what, "engine: Python") {
					t.Errorf("%d: %s", i, what)
				}
			}()
			f()
		}()
	}
}

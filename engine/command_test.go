package engine_test

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestCommands(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		echo := engine.Command([]string{"echo", "-n", "<{}>", "{}{}"})
		for i, item := range []string{"a b", "", "$HOME", "ü\xff"} {
			got, err := echo.Submit(ctx, client, item).Result(deadline(t))
			if err != nil || string(got.Stdout) != "<"+item+"> "+item+item || got.Exit != 0 {
				t.Errorf("%d: %+v, %v", i, got, err)
			}
		}
		sh := func(o ...engine.CommandOption) *engine.Task[string, engine.CommandResult] {
			return engine.Command([]string{"sh", "-c", "echo out; echo $NAME >&2; exit {}"}, o...)
		}
		e := wantTaskError(t, sh(engine.Env(map[string]string{"NAME": "a=b"})).Submit(ctx, client, "7"), engine.FailUser)
		if e.ExitCode != 7 || strings.TrimSpace(string(e.Output)) != "a=b" || e.Name != "sh" {
			t.Errorf("exit 7: %#v", e)
		}
		if got, err := sh(engine.OKExit(7)).Submit(ctx, client, "7").Result(deadline(t)); err != nil || got.Exit != 7 || string(got.Stdout) != "out\n" {
			t.Errorf("exit 7 that is fine: %+v, %v", got, err)
		}
		wantTaskError(t, sh(engine.OKExit(7)).Submit(ctx, client, "8"), engine.FailUser)
		if got, err := sh(engine.KeepExit()).Submit(ctx, client, "8").Result(deadline(t)); err != nil || got.Exit != 8 {
			t.Errorf("exit 8 that is kept: %+v, %v", got, err)
		}
		cat := engine.Command([]string{"cat"}, engine.Stdin())
		if got, err := cat.Submit(ctx, client, strings.Repeat("line\n", 20_000)).Result(deadline(t)); err != nil || len(got.Stdout) != 100_000 {
			t.Errorf("cat: %d bytes, %v", len(got.Stdout), err)
		}
		if e := wantTaskError(t, engine.Command([]string{"no-such-program"}).Submit(ctx, client, ""), engine.FailUser); !strings.Contains(e.Message, "no-such-program") {
			t.Errorf("no program: %v", e)
		}
		b := engine.Command([]string{"true"}).Map(ctx, client, func(yield func(string) bool) {
			for range 100 {
				if !yield("") {
					return
				}
			}
		})
		if got, err := b.Gather(deadline(t)); err != nil || len(got) != 100 {
			t.Errorf("%d times true: %v", len(got), err)
		}
	})
}

package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/yarnd/yarnd/engine"
)

// The tasks of the suites. They are defined in every process of this test binary.

type pair struct{ A, B engine.Ref[int] }

var (
	square = engine.Define("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	inc    = engine.Define("inc", func(_ context.Context, n engine.Ref[int]) (int, error) { return n.Value() + 1, nil })
	add    = engine.Define("add", func(_ context.Context, p pair) (int, error) { return p.A.Value() + p.B.Value(), nil })
	sum    = engine.Define("sum", func(_ context.Context, in []engine.Ref[int]) (int, error) {
		total := 0
		for _, r := range in {
			total += r.Value()
		}
		return total, nil
	})

	// blob gives size bytes, all alike.
	blob = engine.Define("blob", func(_ context.Context, in blobOf) ([]byte, error) {
		return bytes.Repeat([]byte{in.Fill}, in.Size), nil
	})
	// weigh tells what a list of blobs consists of.
	weigh = engine.Define("weigh", func(_ context.Context, in []engine.Ref[[]byte]) (map[byte]int, error) {
		var count [256]int
		for _, r := range in {
			for _, b := range r.Value() {
				count[b]++
			}
		}
		out := map[byte]int{}
		for b, n := range count {
			if n > 0 {
				out[byte(b)] = n
			}
		}
		return out, nil
	})

	fail  = engine.Define("fail", func(_ context.Context, why string) (int, error) { return 0, errors.New(why) })
	crash = engine.Define("crash", func(_ context.Context, why string) (int, error) { return deepPanic(why), nil })
	// flaky fails until its attempt number is the input.
	flaky = engine.Define("flaky", func(ctx context.Context, until int) (int, error) {
		info, _ := engine.Info(ctx)
		if info.Attempt < until {
			return 0, fmt.Errorf("attempt %d is not %d", info.Attempt, until)
		}
		return info.Attempt, nil
	})
	about = engine.Define("about", func(ctx context.Context, _ struct{}) (engine.TaskInfo, error) {
		info, ok := engine.Info(ctx)
		if !ok {
			return info, errors.New("no TaskInfo")
		}
		return info, nil
	})
	pid = engine.Define("pid", func(context.Context, struct{}) (int, error) { return os.Getpid(), nil })

	// wait runs until its gate is open.
	wait = engine.Define("wait", func(ctx context.Context, g gate) (int, error) {
		return g.N, g.pass(ctx)
	})
	// waitFor does so too, with an input of another task.
	waitFor = engine.Define("waitFor", func(ctx context.Context, in gateAfter) (int, error) {
		return in.After.Value(), in.Gate.pass(ctx)
	})
	// exit ends its own process, unless the gate is open: then it is harmless.
	exit = engine.Define("exit", func(_ context.Context, g gate) (int, error) {
		if !g.isOpen() {
			os.Exit(g.N)
		}
		return g.N, nil
	})
	node = engine.Define("node", func(_ context.Context, n cyclic) (int, error) { return n.N, nil })
)

type blobOf struct {
	Fill byte
	Size int
}

type cyclic struct {
	N    int
	Next *cyclic
}

func deepPanic(why string) int { panic(why) }

// gate is a file: it is open when the file exists. Tasks tell that they arrived by
// files of their own.
type gate struct {
	Dir string
	N   int
}

type gateAfter struct {
	Gate  gate
	After engine.Ref[int]
}

func (g gate) file(kind string) string { return filepath.Join(g.Dir, fmt.Sprint(kind, "-", g.N)) }

func (g gate) isOpen() bool {
	_, err := os.Stat(filepath.Join(g.Dir, "open"))
	return err == nil
}

func (g gate) open() error { return os.WriteFile(filepath.Join(g.Dir, "open"), nil, 0o600) }

func (g gate) pass(ctx context.Context) error {
	if err := os.WriteFile(g.file("arrived"), nil, 0o600); err != nil {
		return err
	}
	for !g.isOpen() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// arrived counts the tasks that wait at the gate, or did.
func (g gate) arrived() int {
	found, err := filepath.Glob(filepath.Join(g.Dir, "arrived-*"))
	if err != nil {
		return 0
	}
	return len(found)
}

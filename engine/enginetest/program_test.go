package enginetest

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestRun(t *testing.T) {
	var order []string
	var dir string
	err := Run(t.Context(), func(p TB) {
		dir = p.TempDir()
		p.Cleanup(func() { order = append(order, "first") })
		p.Cleanup(func() {
			order = append(order, "second")
			if p.Context().Err() == nil {
				t.Error("the context lives on at cleanup")
			}
			p.Fatal("late")
		})
		p.Errorf("early %d", 1)
		p.Fatalf("and out")
		t.Error("goes on after Fatal")
	})
	if err == nil || err.Error() != "early 1\nand out\nlate" {
		t.Errorf("error: %v", err)
	}
	if !slices.Equal(order, []string{"second", "first"}) {
		t.Errorf("cleaned up in the order %v", order)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder: %v", err)
	}
	if err := Run(context.Background(), func(TB) {}); err != nil {
		t.Error(err)
	}
}

// A cluster that cannot start says what its workers said.
func TestWorkerOutput(t *testing.T) {
	c := Start(t, Options{Workers: 1, Processes: true})
	w := c.Workers()[0]
	w.Stop()
	if out := w.Output(); !strings.Contains(out, "level=") {
		t.Errorf("output of the worker: %q", out)
	}
}

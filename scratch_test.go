package yarnd

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What processes left that were killed goes at the next one's start; what others use,
// or left on other hosts, stays.
func TestScratch(t *testing.T) {
	below := t.TempDir()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	live, remove, err := scratch(below, "worker")
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	paths := map[string]string{}
	for key, name := range map[string]string{
		"dead": "yarnd-worker-" + host + "-123", "scheduler": "yarnd-scheduler-" + host + "-123", "longer": "yarnd-worker-" + host + "-2-123",
		"elsewhere": "yarnd-worker-x" + host + "-123", "file": "yarnd-worker-" + host + "-7", "link": "yarnd-worker-" + host + "-8",
	} {
		paths[key] = filepath.Join(below, name)
	}
	for _, key := range []string{"dead", "scheduler", "longer", "elsewhere"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(paths[key], "results"), 0o700))
	}
	if err = errors.Join(err, os.WriteFile(paths["file"], nil, 0o600), os.Symlink(other, paths["link"])); err != nil {
		t.Fatal(err)
	}
	second, removeSecond, err := scratch(below, "worker")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{live, second, other, paths["scheduler"], paths["longer"], paths["elsewhere"], paths["file"], paths["link"]} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(paths["dead"]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what the dead one left: %v", err)
	}
	remove()
	removeSecond()
	for _, path := range []string{live, second} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after its end: %v", path, err)
		}
	}
}

// Those that start at once do not sweep each other's away.
func TestScratchAtOnce(t *testing.T) {
	below := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				dir, remove, err := scratch(below, "worker")
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
					t.Error(err)
				}
				remove()
			}
		})
	}
	wg.Wait()
	if left, err := os.ReadDir(below); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

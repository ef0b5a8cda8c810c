package hdfs

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A directory goes although somebody still makes files in it, as a process does that is about to end.
func TestLocalRemovesWhatIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "staging")
	l := NewLocal(LocalOptions{})
	if err := os.MkdirAll(filepath.Join(dir, "journal"), 0o700); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i, start := 0, time.Now(); time.Since(start) < 300*time.Millisecond; i++ {
				if os.WriteFile(filepath.Join(dir, "journal", fmt.Sprint(w, "-", i)), nil, 0o600) != nil {
					return
				}
			}
		})
	}
	err := l.RemoveAll(t.Context(), dir)
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

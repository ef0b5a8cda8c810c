package store

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/checksum"
)

// children are what this binary does as a process of its own: argument 1 is the budget,
// 2 how many bytes of results come, 3 the directory. They print the growth of the peak
// of their resident memory, in bytes.
var children = map[string]func(){
	// one result of unknown size, as it comes from a task
	"one": func() {
		child(func(s *Store, total int64, piece []byte) error {
			w, err := s.Create(key(0), Unknown)
			if err != nil {
				return err
			}
			for have := int64(0); have < total; have += int64(len(piece)) {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return w.Commit()
		})
	},
	// many results of many sizes, which stay, and a third of which are deleted
	"many": func() {
		child(func(s *Store, total int64, piece []byte) error {
			sizes := []int{5_000, 70_000, 600_000, 3 << 20, 20 << 20}
			kept := int64(0)
			for i := uint32(0); kept < total; i++ {
				n := sizes[i%5]
				w, err := s.Create(key(i), int64(n))
				if err != nil {
					return err
				}
				for left := n; left > 0; {
					m, err := w.Write(piece[:min(left, len(piece))])
					if err != nil {
						return err
					}
					left -= m
				}
				if err := w.Commit(); err != nil {
					return err
				}
				if kept += int64(n); i%3 == 2 {
					s.Delete(key(i - 1))
				}
			}
			return nil
		})
	},
}

func child(fill func(s *Store, total int64, piece []byte) error) {
	budget, _ := strconv.ParseUint(os.Args[1], 10, 64)
	total, _ := strconv.ParseInt(os.Args[2], 10, 64)
	s := New(Options{Memory: budget, Dir: os.Args[3]})
	piece := bytes.Repeat([]byte("yarnd"), 50_000)
	before := peak()
	err := fill(s, total, piece)
	fmt.Println(peak()-before, err)
	st := s.Stats()
	fmt.Println(st.Memory, st.Disk)
	s.Close()
}

// peak is the largest resident memory of this process so far, in bytes.
func peak() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	panic("no VmHWM")
}

// TestResidentMemory: results of three times the budget take the budget of the
// process's memory, and a tenth at most. YARND_LONG makes them 3 GiB under 1 GiB.
func TestResidentMemory(t *testing.T) {
	budget := uint64(128 << 20)
	if os.Getenv("YARND_LONG") != "" {
		budget = 1 << 30
	}
	for run := range children {
		t.Run(run, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], fmt.Sprint(budget), fmt.Sprint(3*budget), dir)
			cmd.Env = append(os.Environ(), "YARND_STORE_CHILD="+run)
			cmd.Stderr = os.Stderr
			start := time.Now()
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			lines := bufio.NewScanner(bytes.NewReader(out))
			lines.Scan()
			growth, failed, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseUint(growth, 10, 64)
			// Beside results: buffers for the disk, and what Go's own heap grows by.
			const slack = 8*checksum.Block + 8<<20
			if err != nil || failed != "<nil>" || n > budget+budget/10+slack {
				t.Errorf("memory grew by %s of a budget of %d; %s", growth, budget, failed)
			}
			t.Logf("budget %d, growth %s, after %v: %s", budget, growth, time.Since(start), out)
			if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
				t.Errorf("%d files left, %v", len(files), err)
			}
		})
	}
}

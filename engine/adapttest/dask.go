package adapttest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/yarnd/yarnd/engine/graph"
)

// Dask is dask.distributed's Adaptive: a Python process that is told what the cluster is
// like, and answers with what that code decides.
type Dask struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// NewDask starts the process: a Python that has distributed, and the program beside the
// comparison.
func NewDask(python, program string) (*Dask, error) {
	d := &Dask{cmd: exec.Command(python, program)}
	d.cmd.Stderr = os.Stderr
	var err error
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewScanner(out)
	d.out.Buffer(nil, 1<<20)
	return d, d.cmd.Start()
}

// Close ends the process.
func (d *Dask) Close() error {
	return errors.Join(d.in.Close(), d.cmd.Wait())
}

type daskState struct {
	Maximum int          `json:"maximum"`
	Average float64      `json:"average"` // seconds; -1: unknown
	Queued  int          `json:"queued"`
	Workers []daskWorker `json:"workers"`
	Pending []string     `json:"pending"`
}

type daskWorker struct {
	ID      string  `json:"id"`
	Tasks   int     `json:"tasks"`
	Elapsed float64 `json:"elapsed"` // of the one that runs
}

type daskAnswer struct {
	Scale *int     `json:"scale"`
	Close []string `json:"close"`
}

// Decide implements Policy.
func (d *Dask) Decide(w *World) error {
	s := daskState{Maximum: w.Trace.Max, Average: w.average(), Workers: []daskWorker{}, Pending: []string{}}
	for _, b := range w.boxes {
		switch m := w.workers[b.id]; {
		case b.ready == 0:
			s.Pending = append(s.Pending, fmt.Sprint("box", b.number))
		case b.leaving:
		default:
			x := daskWorker{ID: fmt.Sprint("worker", b.id), Tasks: len(m.queue)}
			if m.run != nil {
				x.Tasks++
				x.Elapsed = (w.Now - m.since).Seconds()
			}
			s.Workers = append(s.Workers, x)
		}
	}
	for n := range w.Asked() {
		s.Pending = append(s.Pending, fmt.Sprint("ask", n))
	}
	s.Queued = w.Core.Ready()
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return err
	}
	if !d.out.Scan() {
		return fmt.Errorf("dask's policy ended: %w", errors.Join(d.out.Err(), io.ErrUnexpectedEOF))
	}
	var a daskAnswer
	if err := json.Unmarshal(d.out.Bytes(), &a); err != nil {
		return err
	}
	d.obey(w, &a)
	return nil
}

// obey does what a cluster of Dask's does: it starts what is wanted beyond those that it
// has, and closes those that are named.
func (d *Dask) obey(w *World, a *daskAnswer) {
	if a.Scale != nil {
		w.Ask(max(0, *a.Scale-w.staying()))
	}
	var ids []graph.WorkerID
	asks := w.Asked()
	for _, name := range a.Close {
		switch {
		case strings.HasPrefix(name, "ask"):
			asks--
		case strings.HasPrefix(name, "box"):
			if n := slices.IndexFunc(w.boxes, func(b *box) bool { return fmt.Sprint("box", b.number) == name }); n >= 0 {
				w.giveBack(w.boxes[n])
			}
		default:
			if n, err := strconv.Atoi(strings.TrimPrefix(name, "worker")); err == nil {
				ids = append(ids, graph.WorkerID(n))
			}
		}
	}
	if asks < w.Asked() {
		w.Ask(asks)
	}
	if len(ids) > 0 {
		w.Retire(ids)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitFailed = 1 // a run did not go through, or its results are wrong
	exitUsage  = 2 // the command line or the graph is wrong
)

func main() {
	if code, yes := inRole(); yes {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// bench is the program: it runs a workload on a cluster of processes, checks the
// results, and prints the report. It returns the exit code.
func bench(ctx context.Context, args []string, out, errOut io.Writer) int {
	o, err := parseOptions(args, out)
	if errors.Is(err, errHelp) {
		return 0
	}
	var w *workload
	if err == nil {
		w, err = load(o)
	}
	if err != nil {
		fmt.Fprintln(errOut, "bench:", err)
		return exitUsage
	}
	r, err := measure(ctx, o, w, args)
	if err == nil {
		err = r.print(out, o.json)
	}
	if err != nil {
		fmt.Fprintln(errOut, "bench:", err)
		return exitFailed
	}
	return 0
}

func (r *report) print(out io.Writer, asJSON bool) error {
	if !asJSON {
		return r.table(out)
	}
	return json.NewEncoder(out).Encode(r)
}

// measure runs the workload and checks what it gave.
func measure(ctx context.Context, o options, w *workload, args []string) (r *report, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %v: --timeout gives it more", o.timeout))
	defer cancel()
	if o.cpuProfile != "" {
		// Executors have a working directory of their own.
		if o.cpuProfile, err = filepath.Abs(o.cpuProfile); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(o.cpuProfile, 0o755); err != nil {
			return nil, err
		}
	}
	if o.journal != "" {
		if o.journal, err = filepath.Abs(o.journal); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "yarnd-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if w.kind == kindWords {
		if o.input == "" {
			o.input = filepath.Join(dir, "text")
			args = append(slices.Clone(args), "--input", o.input) // for the client
		}
		if err := makeText(o.input, int64(o.size)); err != nil {
			return nil, err
		}
	}
	want, err := w.want(o)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	c, err := newCluster(ctx, dir, o, w, args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	started := time.Since(began)
	var all []measured
	for range o.repeats {
		var m measured
		if m.run, m.before, m.after, err = c.measure(ctx); err != nil {
			return nil, err
		}
		if w.values() && m.run.Sum != want {
			return nil, fmt.Errorf("the checksum is %016x, and %016x is right: the engine gave a wrong result", m.run.Sum, want)
		}
		all = append(all, m)
	}
	r = newReport(c, all)
	r.Start = started.Seconds()
	if w.bound != noBound {
		figures, err := c.measureBound(ctx, r.moved())
		if err != nil {
			return nil, fmt.Errorf("measure the bound: %w", err)
		}
		r.addBound(w.bound, figures)
	}
	return r, nil
}

// moved is how many bytes the bound is measured with: what one fetch, or all at once,
// brought.
func (r *report) moved() uint64 {
	switch {
	case r.Move == nil:
		return 0
	case r.Latency != nil:
		return 2 * r.Move.Bytes / uint64(r.Tasks)
	}
	return r.Move.Bytes
}

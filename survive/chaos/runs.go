package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"github.com/yarnd/yarnd/survive/wires"
)

// side has runs go on side by side, and prints the sum of them.
func side(ctx context.Context, o options) error {
	var wg sync.WaitGroup
	tables, errs := make([]*table, o.runs), make([]error, o.runs)
	for i := range o.runs {
		wg.Go(func() {
			of := o
			of.seed += uint64(i)
			tables[i], errs[i] = child(ctx, of)
			if errs[i] != nil {
				errs[i] = fmt.Errorf("seed %d: %w", of.seed, errs[i])
			}
		})
	}
	wg.Wait()
	sum := newTable()
	for _, t := range tables {
		if t != nil {
			sum.sum(t)
		}
	}
	sum.print(os.Stdout, o)
	return errors.Join(append(errs, sum.verdict(o))...)
}

// child is one run in a process of its own, in private namespaces where they are to be had.
func child(ctx context.Context, o options) (*table, error) {
	t, err := start(ctx, o, true)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		fmt.Fprintln(os.Stderr, "chaos: no namespaces for networks and mounts, so no partitions and no full disk of a node:", err)
		t, err = start(ctx, o, false)
	}
	return t, err
}

func start(ctx context.Context, o options, private bool) (*table, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	const report = 3 // the first of ExtraFiles
	cmd := exec.CommandContext(ctx, self, "-report", strconv.Itoa(report), "-for", o.length.String(), "-at-most", o.atMost.String(), "-seed", fmt.Sprint(o.seed),
		"-runs", strconv.Itoa(o.runs), "-workers", strconv.Itoa(o.workers), "-tasks", strconv.Itoa(o.tasks), "-faults", o.kinds,
		"-counts="+strconv.FormatBool(o.counts), "-keep="+strconv.FormatBool(o.keep), "-each="+strconv.FormatBool(o.each), "-open="+strconv.FormatBool(!private), "-v="+strconv.FormatBool(o.verbose))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stderr, os.Stderr, []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if private {
		wires.Private(cmd)
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	err = errors.Join(err, cmd.Wait())
	if len(text) == 0 {
		return nil, errors.Join(err, errors.New("it ended without a table"))
	}
	t := &table{}
	if bad := json.Unmarshal(text, t); bad != nil {
		return nil, errors.Join(err, bad)
	}
	return t, err
}

// one is a run that is one of several.
func one(ctx context.Context, o options) error {
	t, err := hurt(ctx, o)
	if t == nil {
		return err
	}
	out := os.NewFile(uintptr(o.report), "report")
	defer out.Close()
	return errors.Join(err, json.NewEncoder(out).Encode(t))
}

// alone is the only run, in this process.
func alone(ctx context.Context, o options) error {
	t, err := hurt(ctx, o)
	if t == nil || o.lostNode {
		return err
	}
	t.print(os.Stdout, o)
	return errors.Join(err, t.verdict(o))
}

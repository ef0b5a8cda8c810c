package main

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine"
)

// The shape python calls a Python function, in batches of --batch: so many calls are
// submitted and their results waited for, then the next. The function computes a task's
// value as runTask does for one without inputs; peers/on_dask.py calls the same.

// pythonModule holds it.
//
//go:embed peers/tasks.py
var pythonModule []byte

const pythonName = "tasks"

// definePython makes the task, of a module that it puts into a folder.
func (d *driver) definePython(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, pythonName+".py"), pythonModule, 0o600); err != nil {
		return err
	}
	d.python = engine.Python[uint64, uint64](pythonName+":task", engine.Env(map[string]string{"PYTHONPATH": dir}))
	return nil
}

// callPython runs the shape python: n calls.
func (d *driver) callPython(ctx context.Context, n int) (*run, error) {
	job, err := d.typed.Unnamed(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{Tasks: n}
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = uint64(i)
	}
	began := time.Now()
	for batch := range slices.Chunk(ids, d.o.batch) {
		at := time.Now()
		calls := d.python.Map(ctx, d.typed, slices.Values(batch))
		for v, err := range calls.Completed(ctx) {
			if err != nil {
				return nil, err
			}
			r.Sum += v
		}
		calls.Release()
		if d.o.batch == 1 {
			r.Latency = append(r.Latency, time.Since(at).Nanoseconds())
		}
	}
	r.Wall = time.Since(began).Seconds()
	return r, job.Close(ctx)
}

package client

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/identity"
)

// Place is where a task runs.
type Place struct {
	Attempt graph.Attempt
	worker  transfer.Peer
}

// Where tells where a task runs; nil when it does not at present.
func (j *Job) Where(ctx context.Context, index uint32) (*Place, error) {
	if j.c.inside != nil {
		return nil, &Error{Kind: ErrAuth, Err: errors.New("a client within a task cannot look at what a command writes, nor feed one: do it from a client of your own")}
	}
	rows, err := j.Tasks(ctx, index, 1, "")
	if err != nil || len(rows) == 0 || rows[0].Task.Index != index || rows[0].Worker == 0 {
		return nil, err
	}
	workers, err := j.c.Workers(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range workers {
		if w.ID == rows[0].Worker {
			return &Place{rows[0].Attempt, transfer.Peer{Role: identity.Worker, Name: w.Name, Address: w.Address}}, nil
		}
	}
	return nil, nil
}

// Give offers a piece of the standard input of a command that runs at a place; see
// transfer.Pool.Input.
func (j *Job) Give(ctx context.Context, index uint32, at *Place, offset uint64, data []byte, last bool) (have uint64, over bool, err error) {
	have, over, err = j.c.pool.Input(ctx, at.worker, graph.TaskID{Job: j.id, Index: index}, at.Attempt, offset, data, last)
	if err != nil {
		return 0, false, fmt.Errorf("input: %w", err)
	}
	return have, over, nil
}

// Signal sends a signal to the command that runs at a place; see transfer.Pool.Signal.
func (j *Job) Signal(ctx context.Context, index uint32, at *Place, sig syscall.Signal) error {
	if err := j.c.pool.Signal(ctx, at.worker, graph.TaskID{Job: j.id, Index: index}, at.Attempt, sig); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	return nil
}

// Output gives what a command writes that runs at a place, from an offset of a stream
// on, as far as it has come; see transfer.Pool.Output.
func (j *Job) Output(ctx context.Context, index uint32, at *Place, stream byte, offset uint64) ([]byte, error) {
	data, err := j.c.pool.Output(ctx, at.worker, graph.TaskID{Job: j.id, Index: index}, at.Attempt, stream, offset)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return data, nil
}

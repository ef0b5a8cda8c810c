package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
)

// Inside is how a client within a task reaches its cluster: by the executor that runs the
// task. It has no certificate and no way of its own.
type Inside interface {
	// Dial begins a connection to the scheduler, and ends the one before. An error stays.
	Dial() (net.Conn, error)
	// Wait gives the task's slots up until back, which waits to have them again.
	Wait() (back func())
	// ReadAt fills p, of at most MaxInsideRead bytes, with a result's bytes from off on.
	ReadAt(o *graph.Outcome, a graph.Attempt, from graph.Location, p []byte, off int64) error
}

// MaxInsideRead bounds one Inside.ReadAt, in bytes.
const MaxInsideRead = 256 << 10

// insideLease is for ever: who lives and who does not is for the worker to find out.
const insideLease = 10_000 * time.Hour

// DialInside connects a client within a task. It ends with the task: see End.
func DialInside(ctx context.Context, in Inside) (*Client, error) {
	o := Options{Patience: insideLease, Log: slog.New(slog.DiscardHandler), InFlight: 4 << 20}
	c := newClient(o)
	c.inside = in
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// End ends a client within a task: err is what all who wait get. What was submitted to jobs
// with names is handed over before; the unnamed job ends with the task.
func (c *Client) End(err error) {
	c.closing.Do(func() {
		ctx, cancel := context.WithTimeout(c.ctx, flushTimeout)
		defer cancel()
		if c.Err() == nil {
			c.endErr = c.flushNamed(ctx)
		}
		c.end(err)
		c.cancel()
		<-c.stopped
	})
	<-c.stopped
}

// Wait gives up the slots of the task within which the client is, if it is within one,
// until back.
func (c *Client) Wait() (back func()) {
	if c.inside == nil {
		return func() {}
	}
	return c.inside.Wait()
}

func (c *Client) dialInside(ctx context.Context) (*wire.Conn, error) {
	nc, err := c.inside.Dial()
	if err != nil {
		return nil, Permanent(err)
	}
	conn, w, err := wire.Open(ctx, nc, &wire.Hello{
		Build: build(), Who: &wire.Hello_Client{Client: &wire.ClientHello{Session: c.session}},
	}, wire.ConnOptions{Lease: insideLease, Outbox: 1 << 20})
	if err != nil {
		nc.Close()
		return nil, err
	}
	c.adopt(conn, w, "")
	return conn, nil
}

// maxInside is the most bytes of a result that is read whole.
const maxInside = 4 << 30

// insideReads is how many pieces of a result are asked for at a time.
const insideReads = 4

// fetchInside reads a result by way of the worker, from one holder after the other.
func (j *Job) fetchInside(ctx context.Context, out *Outcome) ([]byte, error) {
	if out.Size > maxInside {
		return nil, &transfer.SizeError{Object: "the result of task " + out.Task.String(), Size: out.Size, Limit: maxInside}
	}
	data := make([]byte, out.Size)
	var errs []error
	for _, h := range out.Holders {
		err := j.readInside(ctx, out, h, data)
		if err == nil {
			return data, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (j *Job) readInside(ctx context.Context, out *Outcome, from graph.Location, data []byte) error {
	var wg sync.WaitGroup
	errs := make([]error, insideReads)
	for k := range errs {
		wg.Go(func() {
			for off := k * MaxInsideRead; off < len(data) && errs[k] == nil; off += insideReads * MaxInsideRead {
				if errs[k] = context.Cause(ctx); errs[k] != nil {
					return
				}
				piece := data[off:min(len(data), off+MaxInsideRead)]
				if err := j.c.inside.ReadAt(&out.Outcome, out.Attempt, from, piece, int64(off)); err != nil {
					errs[k] = fmt.Errorf("result of task %s: %w", out.Task, err)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

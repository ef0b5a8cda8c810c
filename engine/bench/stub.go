package main

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// joining is how many stubs shake hands at once: a scheduler lets few strangers in.
const joining = 64

// runStubs joins workers that answer each assignment at once with eight bytes, and have
// neither slots nor data.
func runStubs(h *host, l *launch, ids []*identity.Identity) error {
	conns := make([]*wire.Conn, len(ids))
	dial, ctx := errgroup.WithContext(h.ctx)
	dial.SetLimit(joining)
	for i, id := range ids {
		dial.Go(func() (err error) {
			conns[i], err = joinStub(ctx, h, l, id)
			return err
		})
	}
	err := dial.Wait()
	var serving errgroup.Group
	if err == nil {
		for _, c := range conns {
			serving.Go(func() error { return answerAll(h.ctx, c, l.Typed) })
		}
		err = h.serve(note{}, nil)
	}
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	if failed := serving.Wait(); err == nil && h.ctx.Err() == nil {
		err = failed
	}
	return err
}

func joinStub(ctx context.Context, h *host, l *launch, id *identity.Identity) (*wire.Conn, error) {
	name := id.Subject().Name
	hello := &wire.Hello{Bundle: l.Bundle[:], Who: &wire.Hello_Worker{Worker: &wire.WorkerHello{
		Name: name, Host: name, Pool: "worker", Slots: uint32(l.Slots), Memory: l.Memory, DataAddress: "127.0.0.1:1", Pid: 1,
	}}}
	conn, _, err := wire.Dial(ctx, l.Scheduler, id.Client(identity.Scheduler, ""), hello, wire.ConnOptions{Dial: h.counter.dial})
	if err != nil {
		return nil, err
	}
	if err := conn.Send(ctx, wire.KindInventory, &wire.Held{}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// bytesOfEight is how CBOR begins a byte string of eight (RFC 8949, 3.1), which is what
// a []byte travels as.
const bytesOfEight = 0x48

// answerAll is a stub's life.
func answerAll(ctx context.Context, conn *wire.Conn, typed bool) error {
	done := &wire.Done{}
	result := make([]byte, valueLen)
	if typed {
		result = append([]byte{bytesOfEight}, result...)
	}
	value := result[len(result)-valueLen:]
	for {
		_, m, err := conn.Next()
		if err != nil {
			return fmt.Errorf("stub: %w", err)
		}
		a, ok := m.(*wire.Assign)
		if !ok {
			continue
		}
		done.Clear()
		for i := range a.Len() {
			row := a.At(i)
			binary.LittleEndian.PutUint64(value, uint64(row.Task.Index))
			done.Add(wire.Result{Task: row.Task, Attempt: row.Attempt, Duration: 1, Size: uint64(len(result)), IsInline: true, Inline: result})
		}
		if err := conn.Send(ctx, wire.KindDone, done); err != nil {
			return fmt.Errorf("stub: %w", err)
		}
	}
}

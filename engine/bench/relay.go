package main

import (
	"context"
	"crypto/tls"
	"io"
	"os/exec"
	"time"

	"github.com/yarnd/yarnd/identity"
)

// The way of a task without the engine: a message goes from a client over TLS to a process,
// over TLS to the next, over a pipe to one that echoes it, and all the way back. Each only
// passes on what it reads. It is what submit could take at the least.
//
//	client ──TLS── relay (the scheduler's place) ──TLS── relay (a worker's) ──pipes── cat
const relayed = 200 // bytes of the message

// runRelay passes messages on between the one that connects and the next, which is the
// relay at l.Scheduler or, without one, cat.
func runRelay(h *host, l *launch, id *identity.Identity) error {
	out, in, stop, err := nextRelay(h.ctx, l, id)
	if err != nil {
		return err
	}
	defer stop()
	return serveBare(h, id, func(tc *tls.Conn) error {
		go passOn(out, tc) //nolint:errcheck // it ends when the other direction does
		return passOn(tc, in)
	}, stop)
}

// nextRelay returns what a relay reads the way back from, and what it writes to.
func nextRelay(ctx context.Context, l *launch, id *identity.Identity) (io.Reader, io.Writer, func(), error) {
	if l.Scheduler != "" {
		tc, err := dialBare(ctx, nil, l, id)
		if err != nil {
			return nil, nil, nil, err
		}
		return tc, tc, func() { tc.NetConn().Close() }, nil
	}
	cat := exec.CommandContext(ctx, "cat")
	in, err := cat.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	out, err := cat.StdoutPipe()
	if err == nil {
		err = cat.Start()
	}
	if err != nil {
		return nil, nil, nil, err
	}
	stop := func() {
		in.Close()
		cat.Wait() //nolint:errcheck // it may be stopped twice
	}
	return out, in, stop, nil
}

func passOn(from io.Reader, to io.Writer) error {
	buf := make([]byte, relayed)
	for {
		if _, err := io.ReadFull(from, buf); err != nil {
			return err
		}
		if _, err := to.Write(buf); err != nil {
			return err
		}
	}
}

// runRelayClient sends one message after the other, and takes the time of each.
func runRelayClient(h *host, l *launch, id *identity.Identity) error {
	tc, err := dialBare(h.ctx, nil, l, id)
	if err != nil {
		return err
	}
	defer tc.Close()
	defer context.AfterFunc(h.ctx, func() { tc.NetConn().Close() })()
	buf := make([]byte, relayed)
	return h.serve(note{}, func(context.Context) (*run, error) {
		r := &run{}
		for range l.Count {
			began := time.Now()
			if _, err := tc.Write(buf); err != nil {
				return nil, err
			}
			if _, err := io.ReadFull(tc, buf); err != nil {
				return nil, err
			}
			r.Latency = append(r.Latency, time.Since(began).Nanoseconds())
		}
		return r, nil
	})
}

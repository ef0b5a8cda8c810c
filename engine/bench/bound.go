package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/yarnd/yarnd/identity"
)

// boundProtocol is what the two bare processes speak.
const boundProtocol = "yarnd-bench/1"

// piece is what a bare process writes and reads at once.
const piece = 1 << 20

// runTLSServer sends so many bytes whenever its peer sends one.
func runTLSServer(h *host, l *launch, id *identity.Identity) error {
	return serveBare(h, id, func(tc *tls.Conn) error { return sendOnDemand(tc, l.Bytes) }, func() {})
}

// serveBare serves the one connection that somebody opens, over TLS, until the process is
// to end. stop is called then, before the end of serve is waited for.
func serveBare(h *host, id *identity.Identity, serve func(*tls.Conn) error, stop func()) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer context.AfterFunc(h.ctx, func() { ln.Close() })()
	config := id.Server(identity.Worker)
	config.NextProtos = []string{boundProtocol}
	served := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			defer nc.Close()
			defer context.AfterFunc(h.ctx, func() { nc.Close() })()
			err = serve(tls.Server(nc, config))
		}
		served <- err
	}()
	err = h.serve(note{Addr: ln.Addr().String()}, nil)
	stop()
	ln.Close()
	if failed := <-served; h.ctx.Err() == nil {
		err = errors.Join(err, failed)
	}
	return err
}

func sendOnDemand(tc *tls.Conn, n uint64) error {
	buf := make([]byte, piece)
	fill(buf)
	for {
		if _, err := io.ReadFull(tc, buf[:1]); err != nil {
			return err
		}
		for left := n; left > 0; {
			k, err := tc.Write(buf[:min(left, piece)])
			if err != nil {
				return err
			}
			left -= uint64(k)
		}
	}
}

// runTLSClient fetches those bytes each time, and throws them away.
func runTLSClient(h *host, l *launch, id *identity.Identity) error {
	tc, err := dialBare(h.ctx, h.counter.dial, l, id)
	if err != nil {
		return err
	}
	defer tc.Close()
	defer context.AfterFunc(h.ctx, func() { tc.NetConn().Close() })()
	buf := make([]byte, piece)
	return h.serve(note{}, func(context.Context) (*run, error) {
		began := time.Now()
		if _, err := tc.Write(buf[:1]); err != nil {
			return nil, err
		}
		for left := l.Bytes; left > 0; {
			k, err := tc.Read(buf[:min(left, piece)])
			if err != nil {
				return nil, err
			}
			left -= uint64(k)
		}
		took := time.Since(began).Seconds()
		return &run{Wall: took, Moved: l.Bytes, MoveTime: took}, nil
	})
}

// dialBare connects to what serveBare serves at l.Scheduler.
func dialBare(ctx context.Context, dial identity.DialFunc, l *launch, id *identity.Identity) (*tls.Conn, error) {
	config := id.Client(identity.Worker, "")
	config.NextProtos = []string{boundProtocol}
	return identity.Dial(ctx, dial, l.Scheduler, config)
}

// runSpawn starts the command true so many times, one after the other: by vfork and
// exec, as posix_spawn does. One such process stands for one slot, since within a
// process such starts wait for each other.
func runSpawn(h *host, l *launch) error {
	path, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &os.ProcAttr{Files: []*os.File{null, null, null}}
	return h.serve(note{}, func(ctx context.Context) (*run, error) {
		began := time.Now()
		for range l.Count {
			p, err := os.StartProcess(path, []string{"true"}, attr)
			if err != nil {
				return nil, err
			}
			if _, err := p.Wait(); err != nil {
				return nil, err
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
		return &run{Tasks: l.Count, Wall: time.Since(began).Seconds()}, nil
	})
}

// together has several processes do their work at once, and returns how long that
// took.
func together(ctx context.Context, children []*child) (time.Duration, error) {
	began := time.Now()
	errs := make([]error, len(children))
	var wg sync.WaitGroup
	for i, c := range children {
		wg.Go(func() { _, errs[i] = c.ask(ctx, cmdGo) })
	}
	wg.Wait()
	return time.Since(began), errors.Join(errs...)
}

package executor

import (
	"context"
	"io"
	"syscall"
)

// stdinInput is the input of a Read that is standard input: no task has so many.
const stdinInput = 1<<32 - 1

// feed writes what comes as a command's standard input, until nothing follows, the
// command does not take it, or ctx ends.
func (c *child) feed(ctx context.Context, r *run, to io.Writer) {
	for offset := uint64(0); ; {
		piece, err := c.fetch(ctx, read{call: r.call, input: stdinInput, offset: offset, n: MaxStdinPiece})
		if err != nil || len(piece) == 0 {
			return
		}
		if _, err := to.Write(piece); err != nil {
			c.out.write(kindRead, func(b []byte) []byte { return appendRead(b, read{call: r.call, input: stdinInput}) }) //nolint:errcheck // the worker is gone
			return
		}
		offset += uint64(len(piece))
	}
}

// signal passes a signal on to a call's command.
func (c *child) signal(call uint64, sig syscall.Signal) {
	c.mu.Lock()
	k, ok := c.commands[call]
	if ok && k == nil { // it has begun, and nobody has said yet as what
		c.early[call] = append(c.early[call], sig)
	}
	c.mu.Unlock()
	if k != nil {
		k.signal(sig)
	}
}

// signal sends a signal to the command's process group, unless it has ended: its
// number may be another's then.
func (k *command) signal(sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reaped {
		syscall.Kill(-k.pid, sig) //nolint:errcheck // it may be ending
	}
}

package client

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// pieceSize is how much of a bundle one request carries.
const pieceSize = 1 << 20

// ownBundle is this program, as it is made known to the cluster. turn is held, as a
// channel of capacity one, while it is hashed or uploaded.
type ownBundle struct {
	turn   chan struct{}
	hashed bool
	digest graph.Digest
	size   int64
	epoch  uint64 // of the scheduler that has it; 0: none
}

// Bundle returns the digest of the program that Go tasks are to run in, and makes
// sure that the cluster has that program; the zero digest is the workers' own.
func (c *Client) Bundle(ctx context.Context) (graph.Digest, error) {
	if c.inside != nil { // the program that runs here
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.workers, nil
	}
	if !c.opts.OwnBundle {
		return graph.Digest{}, nil
	}
	b := &c.bundle
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return graph.Digest{}, context.Cause(ctx)
	}
	c.mu.Lock()
	epoch, workers := c.epoch, c.workers
	c.mu.Unlock()
	if b.hashed && b.digest == workers {
		return graph.Digest{}, nil
	}
	if b.hashed && b.epoch == epoch {
		return b.digest, nil
	}
	path, err := c.executable()
	if err != nil {
		return graph.Digest{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return graph.Digest{}, fmt.Errorf("read this program to bring it to the cluster: %w", err)
	}
	defer f.Close()
	if !b.hashed {
		h := sha256.New()
		if b.size, err = io.Copy(h, f); err != nil {
			return graph.Digest{}, fmt.Errorf("read %s: %w", path, err)
		}
		h.Sum(b.digest[:0])
		b.hashed = true
		if b.digest == workers {
			return graph.Digest{}, nil
		}
	}
	if err := checkStatic(f); err != nil {
		return graph.Digest{}, fmt.Errorf("%s cannot run on the cluster: %w", path, err)
	}
	if err := c.upload(ctx, f); err != nil {
		return graph.Digest{}, fmt.Errorf("bring %s to the cluster: %w", path, err)
	}
	b.epoch = epoch
	return b.digest, nil
}

// executable returns the path of the running program. The link in /proc leads to it
// even when the file was replaced meanwhile.
func (c *Client) executable() (string, error) {
	if c.opts.Executable != "" {
		return c.opts.Executable, nil
	}
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program to bring it to the cluster: %w", err)
	}
	return path, nil
}

// checkStatic tells why a program would not start on another host.
func checkStatic(r io.ReaderAt) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("it is no Linux program (%w): build it with GOOS=linux", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is linked dynamically, and other hosts may not have its libraries: build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// upload sends what the scheduler lacks of the bundle, piece by piece, each in the
// place that its last answer named.
func (c *Client) upload(ctx context.Context, f io.ReaderAt) error {
	b := &c.bundle
	put := &wire.PutBundle{Digest: b.digest[:], Size: uint64(b.size)}
	buf := make([]byte, min(b.size, pieceSize))
	for restarts := 0; ; {
		r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_PutBundle{PutBundle: put}})
		if err != nil {
			return err
		}
		state := r.GetBundle()
		if state == nil {
			return errNoAnswer
		}
		if state.Complete {
			return nil
		}
		if sent := put.Offset + uint64(len(put.Data)); len(put.Data) > 0 && state.Have < sent {
			if restarts++; restarts > 3 {
				return fmt.Errorf("the scheduler keeps losing it (has %d bytes after %d)", state.Have, sent)
			}
		}
		if state.Have >= uint64(b.size) {
			return errors.New("the scheduler has all of it and does not take it for complete: its bytes changed on the way or on disk")
		}
		n, err := f.ReadAt(buf[:min(uint64(len(buf)), uint64(b.size)-state.Have)], int64(state.Have))
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return fmt.Errorf("read this program at byte %d: %w", state.Have, errors.Join(err, io.ErrUnexpectedEOF))
		}
		// A new message, as the one before may still be sent again.
		put = &wire.PutBundle{Digest: b.digest[:], Size: uint64(b.size), Offset: state.Have, Data: append([]byte(nil), buf[:n]...)}
	}
}

// build is this program's version, for people.
func build() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

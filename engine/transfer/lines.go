package transfer

import (
	"bufio"
	"context"
	"slices"
)

// peerLines are the connections for results to one peer. All is under pool.mu.
type peerLines struct {
	Peer
	lines   []*line
	opening int
	users   int           // who look for a line
	changed chan struct{} // closed when lines or opening change
}

// line returns the connection that has the least to do, which counts size more bytes
// from now on, or a new one if all have much to do. Whoever finds that one is missing
// opens it, and others wait for it only if there is no other.
func (p *Pool) line(ctx context.Context, from Peer, size int64) (*line, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl := p.lines[from]
	if pl == nil {
		pl = &peerLines{Peer: from, changed: make(chan struct{})}
		p.lines[from] = pl
	}
	pl.users++
	defer pl.forget(p)
	for {
		if p.ctx.Err() != nil {
			return nil, ErrClosed
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		best := pl.best()
		room := len(pl.lines)+pl.opening < p.opts.Conns
		switch {
		case best != nil && (best.load < fullLoad || !room):
			best.load += size + askLoad
			return best, nil
		case room:
			if err := pl.open(ctx, p); err != nil {
				return nil, err
			}
		default:
			changed := pl.changed
			p.mu.Unlock()
			select {
			case <-changed:
			case <-ctx.Done():
			case <-p.ctx.Done():
			}
			p.mu.Lock()
		}
	}
}

func (pl *peerLines) best() (best *line) {
	for _, l := range pl.lines {
		if best == nil || l.load < best.load {
			best = l
		}
	}
	return best
}

// open adds a line. Called with the lock, which it does not hold while it connects.
func (pl *peerLines) open(ctx context.Context, p *Pool) error {
	pl.opening++
	p.mu.Unlock()
	c, err := func() (*conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(p.ctx, cancel)()
		return dial(ctx, p.opts.TCP, pl.Address, p.config(pl.Peer), p.opts.Dial)
	}()
	p.mu.Lock()
	pl.opening--
	pl.change()
	if err != nil {
		return err
	}
	if p.ctx.Err() != nil {
		hangUp(c.nc)
		return ErrClosed
	}
	l := &line{pool: p, peer: pl, nc: c.nc, r: bufio.NewReaderSize(c.nc, 16<<10)}
	pl.lines = append(pl.lines, l)
	l.deadline(p.opts.Idle)
	p.wg.Add(1)
	go l.read()
	return nil
}

func (pl *peerLines) change() {
	close(pl.changed)
	pl.changed = make(chan struct{})
}

// forget ends one use.
func (pl *peerLines) forget(p *Pool) {
	pl.users--
	pl.prune(p)
}

func (pl *peerLines) prune(p *Pool) {
	if pl.users == 0 && len(pl.lines) == 0 && p.lines[pl.Peer] == pl {
		delete(p.lines, pl.Peer)
	}
}

// unload takes bytes that are no longer asked for from the line's load.
func (l *line) unload(n int64) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.load -= n
}

// retire takes the line out of those that are chosen from.
func (l *line) retire() {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	pl := l.peer
	pl.lines = slices.DeleteFunc(pl.lines, func(o *line) bool { return o == l })
	pl.change()
	pl.prune(p)
}

package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
)

const (
	// rangeBlocks is how many blocks one request asks for: enough that the way of the
	// request does not show, and few enough that others on the connection get their turn.
	rangeBlocks = 4
	// damagedTries is how often a block may come without its checksum from one peer.
	damagedTries = 2
)

// Download is a result on its way into a Sink. What has arrived stays over failures: the
// next Fetch, from the same peer or another, asks for the rest. It is for one Fetch at a
// time.
type Download struct {
	task    graph.TaskID
	attempt graph.Attempt
	size    uint64
	sink    Sink

	mu       sync.Mutex
	progress progress
}

// NewDownload returns the download of a result of size bytes, of which nothing is here.
func NewDownload(t graph.TaskID, a graph.Attempt, size uint64, sink Sink) *Download {
	return &Download{task: t, attempt: a, size: size, sink: sink, progress: newProgress(checksum.Blocks(int64(size)))}
}

func (d *Download) what(first, count int) object { return resultOf(d.task, d.attempt, first, count) }

// Missing returns how many blocks are not here yet.
func (d *Download) Missing() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.progress.left
}

func (d *Download) take() (first, count int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.progress.take(rangeBlocks)
}

func (d *Download) arrived(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress.arrived(i)
}

func (d *Download) back(first, count int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress.back(first, count)
}

var (
	errDamaged = errors.New("it does not have its checksum there")
	errWrong   = errors.New("wrong answer")
)

// Result fetches a result whole. size is its length in bytes as the scheduler told it: a
// peer that answers with another length is wrong. The bytes are the caller's. Errors are
// *Error, or *SizeError for a result too large to take.
func (p *Pool) Result(ctx context.Context, from Peer, t graph.TaskID, a graph.Attempt, size uint64) ([]byte, error) {
	data, d, err := p.Begin(t, a, size)
	if err != nil {
		return nil, err
	}
	if err := p.Fetch(ctx, from, d); err != nil {
		return nil, err
	}
	return data, nil
}

// Begin returns the download of a result into data, which is the caller's once it was
// fetched. The error is a *SizeError.
func (p *Pool) Begin(t graph.TaskID, a graph.Attempt, size uint64) (data []byte, d *Download, err error) {
	if err := p.tooLarge(t, a, size); err != nil {
		return nil, nil, err
	}
	data = make([]byte, size)
	return data, NewDownload(t, a, size, memory(data)), nil
}

func (p *Pool) tooLarge(t graph.TaskID, a graph.Attempt, size uint64) error {
	if size <= p.opts.MaxSize {
		return nil
	}
	return &SizeError{Object: resultOf(t, a, 0, 0).String(), Size: size, Limit: p.opts.MaxSize}
}

// Fetch gets what is missing of a result from a peer. A large one comes in ranges over
// several connections, as many bytes at once as PoolOptions.InFlight allows. Errors are
// *Error, *SizeError, or the Sink's; what has arrived until then stays.
func (p *Pool) Fetch(ctx context.Context, from Peer, d *Download) error {
	if err := p.tooLarge(d.task, d.attempt, d.size); err != nil {
		return err
	}
	blocks := d.Missing()
	if d.size == 0 { // whether it is there
		err := errAgain
		for errors.Is(err, errAgain) {
			err = p.fetchRange(ctx, from, d, 0, 0)
		}
		return err
	}
	// One connection is left for others who want something of this peer.
	streams := min((blocks+rangeBlocks-1)/rangeBlocks, max(1, p.opts.Conns-1))
	if streams <= 1 {
		return p.fetchRanges(ctx, from, d)
	}
	// The first who fails ends the others, so that their blocks are free again.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	errs := make([]error, streams)
	for i := range streams {
		wg.Go(func() {
			if errs[i] = p.fetchRanges(ctx, from, d); errs[i] != nil {
				cancel(errOther)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, errOther) {
			return err
		}
	}
	return nil
}

// errOther is why a stream ends when another one has failed.
var errOther = errors.New("another part of it failed")

// fetchRanges fetches until nothing is left to ask for.
func (p *Pool) fetchRanges(ctx context.Context, from Peer, d *Download) error {
	for bad := 0; ; {
		first, count := d.take()
		if count == 0 {
			return nil
		}
		err := p.fetchRange(ctx, from, d, first, count)
		d.back(first, count)
		if e, ok := errors.AsType[*Error](err); ok && e.Damaged() {
			if bad++; bad < damagedTries {
				continue
			}
		}
		if err != nil && !errors.Is(err, errAgain) {
			return err
		}
	}
}

// fetchRange fetches some blocks in a row. With errAgain, the rest is to be asked for
// again.
func (p *Pool) fetchRange(ctx context.Context, from Peer, d *Download, first, count int) error {
	what := d.what(first, count)
	size := int64(0)
	for i := first; i < first+count; i++ {
		size += int64(checksum.Len(int64(d.size), i))
	}
	weight := min(size, p.opts.InFlight)
	if err := p.flight.Acquire(ctx, weight); err != nil {
		return p.fail(ctx, from, what, context.Cause(ctx))
	}
	defer p.flight.Release(weight)
	l, err := p.line(ctx, from, size)
	if err != nil {
		return p.fail(ctx, from, what, err)
	}
	err = l.ask(ctx, &ask{what: what, d: d, size: size, end: make(chan error, 1)})
	if err == nil || errors.Is(err, errAgain) {
		return err
	}
	if se, ok := errors.AsType[*sinkError](err); ok {
		return se.err
	}
	return p.fail(ctx, from, what, err)
}

// sinkError is a failure of this side's Sink.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return fmt.Sprintf("keep what is fetched: %v", e.err) }

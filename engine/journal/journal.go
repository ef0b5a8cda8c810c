package journal

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Options of a journal. Store and Epoch are needed. The callbacks come from goroutines of
// the journal, which go on when they have returned, and OnState also from within Open and Replay. They must not
// call Close.
type Options struct {
	Store Store
	// Epoch is this process's, from 1: higher than that of any process that has opened the
	// journal before, and no other's.
	Epoch uint64
	Log   *slog.Logger // nil: nothing is logged
	// OnFlushed tells that the records before pos are safe: each later epoch replays them. It
	// follows a Commit that had something to flush and, with the first position, Start.
	OnFlushed func(pos uint64)
	// OnState tells that nothing can be made safe at present (an *AwayError), and with nil that
	// all is well again. Meanwhile records gather in memory.
	OnState func(error)
	// OnFenced tells, once, that a later epoch has opened the journal (a *FencedError). Nothing is
	// told safe afterwards.
	OnFenced func(error)

	BlockBytes  int           // records are framed in blocks of about this size; 0: 1 MiB
	CallTimeout time.Duration // of one call of the store but Seal and reading; 0: 20 s
	SlowAfter   time.Duration // a call without an answer for so long is told to OnState; 0: 3 s
	RetryMin    time.Duration // the wait after a second failure; 0: 100 ms
	RetryMax    time.Duration // the longest wait; 0: 10 s

	jitter func() float64 // for tests
	nonce  func() uint32  // for tests
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnFlushed == nil {
		o.OnFlushed = func(uint64) {}
	}
	if o.OnState == nil {
		o.OnState = func(error) {}
	}
	if o.OnFenced == nil {
		o.OnFenced = func(error) {}
	}
	o.BlockBytes = cmp.Or(o.BlockBytes, 1<<20)
	o.CallTimeout = cmp.Or(o.CallTimeout, 20*time.Second)
	o.SlowAfter = cmp.Or(o.SlowAfter, 3*time.Second)
	o.RetryMin = cmp.Or(o.RetryMin, 100*time.Millisecond)
	o.RetryMax = cmp.Or(o.RetryMax, 10*time.Second)
	if o.jitter == nil {
		o.jitter, o.nonce = rand.Float64, rand.Uint32
	}
	return o
}

// phase is how far a journal has come.
type phase int

const (
	opened   phase = iota // Replay may be called
	replayed              // Append and Start may be called
	running               // the writer runs
	closed                // Close was called
	broken                // Replay failed, or is under way
)

// Journal is one epoch of a journal. Open, Replay, Start; then Append, Commit and Snapshot by one
// goroutine, the owner of the state that is recorded. Appended, Pending, Grown and Size may be
// called from any.
type Journal struct {
	opts  Options
	gen   uint32
	plan  plan   // what is replayed
	begun uint64 // the epoch's first position
	state state

	ctx    context.Context // of the goroutines
	cancel context.CancelFunc
	left   context.Context // of files that are being closed: ends with Close, or its context
	leave  context.CancelFunc
	tasks  sync.WaitGroup
	kick   chan struct{} // there is something for the writer

	tell sync.Mutex // held while OnFlushed or OnFenced is called

	mu        sync.Mutex
	phase     phase
	q         queue
	wanted    uint64        // asked for by Commit
	flushed   chan struct{} // closed with the next flush; nil if nobody waits
	rollAt    uint64        // the next segment is to begin here, if the present one begins before
	rolled    chan struct{} // closed when it has; nil if nobody waits
	snapping  bool          // a snapshot is being written
	snapSize  int64
	snapRetry backoff   // after snapshots that could not be written
	snapAfter time.Time // not before this is there another one
	grown     int64
	seq       uint32    // of the last file of this epoch
	own       []ownFile // segments of this epoch that are there, in order
	closing   bool
	fenced    error // the epoch is over
}

// ownFile is a segment of this epoch.
type ownFile struct {
	seq   uint32
	first uint64
}

func newJournal(o Options) *Journal {
	j := &Journal{opts: o.withDefaults(), kick: make(chan struct{}, 1)}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	j.left, j.leave = context.WithCancel(context.Background())
	j.snapRetry = j.backoff()
	j.state = state{tell: j.opts.OnState, slow: j.opts.SlowAfter}
	return j
}

// Generation is how many epochs have opened this journal before: 0 for a new one.
func (j *Journal) Generation() uint32 { return j.gen }

// Start begins the epoch's first segment, in the background. OnFlushed follows, with the
// first position.
func (j *Journal) Start() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch j.phase {
	case replayed:
	case running, closed:
		return errors.New("the journal was started already")
	default:
		return errors.New("the journal has to be replayed to its end before it is started")
	}
	j.phase = running
	j.tasks.Go(newWriter(j).run)
	return nil
}

// Append adds a record, which it copies, of at most MaxRecord bytes; larger ones panic. It never waits.
// After OnFenced it does nothing.
func (j *Journal) Append(rec []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fenced != nil {
		return
	}
	before := j.q.bytes
	j.q.append(rec)
	j.grown += int64(j.q.bytes - before)
}

// Commit asks that all that was appended be made safe, and returns at once. OnFlushed
// follows. What is committed while another flush is under way goes with the next one.
func (j *Journal) Commit() {
	j.mu.Lock()
	j.wanted = j.q.next
	j.mu.Unlock()
	j.wake()
}

// Appended is the position after the last record: how many there are since the journal was new.
func (j *Journal) Appended() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.q.next
}

// Pending is how many bytes are not safe yet. They lie in memory.
func (j *Journal) Pending() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.q.bytes
}

// Grown is how many bytes of records there are since the last Snapshot that was not given up.
func (j *Journal) Grown() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.grown
}

// Size is the size of the last snapshot that is safe, in bytes; 0 if there is none.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.snapSize
}

// Close makes safe what was appended, and ends the journal's goroutines; a snapshot under way
// is given up. The error says that ctx ended before all was safe, or that the epoch was
// fenced. It may be called again.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	j.closing, j.wanted = true, j.q.next
	j.phase = closed
	j.mu.Unlock()
	j.wake()
	defer context.AfterFunc(ctx, func() { j.cancel(); j.leave() })()
	j.tasks.Wait()
	j.cancel()
	j.leave()
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.fenced != nil:
		return j.fenced
	case j.q.safe < j.q.next:
		return &unsafeError{records: j.q.next - j.q.safe, why: context.Cause(ctx)}
	}
	return nil
}

func (j *Journal) wake() {
	select {
	case j.kick <- struct{}{}:
	default:
	}
}

// fence ends the epoch.
func (j *Journal) fence(err error) {
	j.tell.Lock()
	defer j.tell.Unlock()
	j.mu.Lock()
	was := j.fenced
	if was == nil {
		j.fenced = err
	}
	j.mu.Unlock()
	if was == nil {
		j.opts.Log.Error("the journal's epoch is over", "err", err)
		j.opts.OnFenced(err)
		j.cancel()
	}
}

// ID names the journal: every epoch that opens it has the same, and no other journal has it.
func (j *Journal) ID() string { return hex.EncodeToString(j.plan.id[:]) }

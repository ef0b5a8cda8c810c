package journal

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"
)

// Snapshot is a whole state while it is being recorded, bit by bit, and records go on. It
// stands for all records before the call of Journal.Snapshot. What is added may know of records
// that came after that, too: replayed is the snapshot, then all records after the call, and a
// snapshot counts only when all records are safe that were appended before End.
//
//	     Snapshot          End
//	records ─┬─ a, b, c, d ─┬─ e …      segments: what is before the call is removed
//	         └─ 1, 2, 3, 4 ─┘           replay:   1 2 3 4 a b c d e
//
// Its methods are for the journal's owner.
type Snapshot struct {
	j   *Journal
	id  fileID
	at  uint64 // the position that it stands for
	was int64  // what Grown was

	rolled chan struct{} // closed when a segment has begun there
	kick   chan struct{} // there is something to write

	mu    sync.Mutex
	recs  queue
	until uint64 // records before this are to be safe before it counts
	ended bool
	over  bool // nothing more is taken
}

// snapshotRoom is how many bytes of a snapshot may wait for the store.
const snapshotRoom = 4 << 20

// Snapshot begins to record a whole state. It returns nil while another one is being
// written, for a while after one could not be written, and after the end. When it is safe,
// older segments and snapshots are removed.
func (j *Journal) Snapshot() *Snapshot {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.snapping || j.closing || j.fenced != nil || j.phase != running || time.Now().Before(j.snapAfter) {
		return nil
	}
	j.q.cut()
	j.seq++
	s := &Snapshot{
		j: j, id: fileID{snapshot, j.opts.Epoch, j.seq}, at: j.q.next, was: j.grown,
		rolled: make(chan struct{}), kick: make(chan struct{}, 1), recs: newQueue(0, j.opts.BlockBytes),
	}
	j.rollAt, j.grown, j.snapping = j.q.next, 0, true
	j.tellRolled() // one that still waits has nothing to wait for
	j.rolled = s.rolled
	if n := len(j.own); n > 0 && j.own[n-1].first >= s.at { // nothing was appended since it began
		j.tellRolled()
	}
	j.tasks.Go(s.run)
	j.wake()
	return s
}

// Add adds a record, which it copies. It never waits.
func (s *Snapshot) Add(rec []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && !s.ended {
		s.recs.append(rec)
	}
	s.wake()
}

// Room reports whether more should be added now: until then what was added waits in memory.
func (s *Snapshot) Room() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recs.bytes < snapshotRoom
}

// End says that all was added, and commits all records.
func (s *Snapshot) End() {
	s.j.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.until = true, s.j.Appended()
	s.wake()
}

// Over reports whether nothing more need be added: it was given up, for the store failed, or
// the journal ends.
func (s *Snapshot) Over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

func (s *Snapshot) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// tellRolled lets the snapshot go on that waits for a segment. Call it with mu held.
func (j *Journal) tellRolled() {
	if j.rolled != nil {
		close(j.rolled)
		j.rolled = nil
	}
}

// run writes it, and removes what it makes needless.
func (s *Snapshot) run() {
	names, size, err := s.save()
	s.mu.Lock()
	s.over, s.recs = true, queue{}
	s.mu.Unlock()
	j := s.j
	j.mu.Lock()
	j.snapping = false
	if err != nil {
		j.grown += s.was
		j.snapAfter = time.Now().Add(j.snapRetry.next())
		j.mu.Unlock()
		if j.ctx.Err() == nil {
			j.opts.Log.Warn("a snapshot of the journal could not be written; another one will be", "err", err)
		}
		return
	}
	j.snapSize = size
	j.snapRetry.reset()
	j.mu.Unlock()
	select {
	case <-s.rolled:
		s.tidy(names)
	case <-j.ctx.Done():
	}
}

// save writes the snapshot, and returns what the store held when it was safe.
func (s *Snapshot) save() (names []fileID, size int64, err error) {
	j, name := s.j, s.id.String()
	var file File
	if err := j.call("create", name, func(ctx context.Context) (err error) {
		file, err = j.opts.Store.Create(ctx, name)
		return err
	}); err != nil {
		return nil, 0, err
	}
	defer func() { j.closeLater(file, name) }()
	if _, err := j.look(j.call); err != nil {
		return nil, 0, err
	}
	if size, err = s.fill(file); err != nil {
		return nil, 0, err
	}
	names, err = j.look(j.call)
	return names, size, err
}

// fill writes all of it, as it comes. The end is written when what comes before it is safe, so that there is
// no end where something is missing.
func (s *Snapshot) fill(file File) (size int64, err error) {
	j, name, seed := s.j, s.id.String(), s.j.plan.id.seed()
	write := func(p []byte) error {
		size += int64(len(p))
		return j.call("write", name, func(ctx context.Context) error { return file.Write(ctx, p) })
	}
	flush := func() error { return j.call("flush", name, file.Flush) }
	if err := write(appendHeader(nil, header{fileID: s.id, id: j.plan.id, epochFirst: j.begun, first: s.at})); err != nil {
		return size, err
	}
	if err := flush(); err != nil {
		return size, err
	}
	for {
		blocks, last, err := s.take()
		if err != nil {
			return size, err
		}
		for _, b := range blocks {
			if err := write(b.seal(0, seed)); err != nil {
				return size, err
			}
		}
		if last {
			break
		}
		s.written(blocks)
	}
	if err := flush(); err != nil {
		return size, err
	}
	if err := j.awaitSafe(s.until); err != nil {
		return size, err
	}
	end := make([]byte, frameLen)
	frame{end: true, first: s.recs.next, sum: seed}.put(end, seed)
	if err := write(end); err != nil {
		return size, err
	}
	return size, flush()
}

// take waits for blocks that are full, or for all that is left when the last was added.
func (s *Snapshot) take() (blocks []*block, last bool, err error) {
	for {
		s.mu.Lock()
		if s.ended {
			s.recs.cut()
		}
		blocks, last = s.recs.full(), s.ended
		s.mu.Unlock()
		if len(blocks) > 0 || last {
			return blocks, last, nil
		}
		select {
		case <-s.kick:
		case <-s.j.ctx.Done():
			return nil, false, s.j.ctx.Err()
		}
	}
}

// written gives the memory of blocks back.
func (s *Snapshot) written(blocks []*block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recs.flushed(blocks[len(blocks)-1].end())
}

// awaitSafe waits until the records before a position are safe.
func (j *Journal) awaitSafe(pos uint64) error {
	for {
		j.mu.Lock()
		there := j.q.safe >= pos
		if !there && j.flushed == nil {
			j.flushed = make(chan struct{})
		}
		flushed := j.flushed
		j.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-flushed:
		case <-j.ctx.Done():
			return j.ctx.Err()
		}
	}
}

// tidy removes what the snapshot stands for: all of earlier epochs but their markers, older
// snapshots, and the segments that end before it. What cannot be removed now is by the next one.
func (s *Snapshot) tidy(names []fileID) {
	j, id := s.j, s.id
	j.mu.Lock()
	needed := uint32(0) // the first segment of this epoch that is
	for i, o := range j.own {
		if i+1 == len(j.own) || j.own[i+1].first > s.at {
			needed = o.seq
			j.own = append(j.own[:0], j.own[i:]...)
			break
		}
	}
	j.mu.Unlock()
	for _, f := range names {
		old := f.kind == snapshot && f.seq < id.seq || f.kind == segment && f.seq < needed
		if f.kind != marker && (f.epoch < id.epoch || f.epoch == id.epoch && old) {
			j.remove(f)
		}
	}
}

func (j *Journal) remove(f fileID) {
	err := j.call("remove", f.String(), func(ctx context.Context) error { return j.opts.Store.Remove(ctx, f.String()) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.opts.Log.Warn("a needless file of the journal stays for now", "err", err)
	}
}

// closeLater closes a file in the background.
func (j *Journal) closeLater(file File, name string) {
	j.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(j.left, j.opts.CallTimeout)
		defer cancel()
		if err := file.Close(ctx); err != nil {
			j.opts.Log.Debug("a file of the journal was not closed", "file", name, "err", err)
		}
	})
}

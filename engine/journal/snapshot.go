package journal

import (
	"context"
	"errors"
	"io/fs"
)

// Snapshot records a whole state, which stands for all records before it: state emits it,
// record by record, before Snapshot returns. It is written in the background; when it is safe, older
// segments and snapshots are removed. While one is being written, or after the end, Snapshot
// does nothing and returns false.
func (j *Journal) Snapshot(state func(emit func(rec []byte))) bool {
	j.mu.Lock()
	busy := j.snapping || j.closing || j.fenced != nil || j.phase != running
	j.mu.Unlock()
	if busy {
		return false
	}
	recs := newQueue(0, j.opts.BlockBytes)
	state(recs.append)

	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closing || j.fenced != nil {
		return false
	}
	j.q.cut()
	j.rollAt, j.grown, j.snapping = j.q.next, 0, true
	j.tellRolled() // a keeper that still waits has nothing to wait for
	j.rolled = make(chan struct{})
	k := &keeper{Journal: j, at: j.q.next, recs: recs, rolled: j.rolled}
	if n := len(j.own); n > 0 && j.own[n-1].first >= k.at { // nothing was appended since it began
		j.tellRolled()
	}
	j.tasks.Go(k.run)
	j.wake()
	return true
}

// tellRolled lets the keeper go on that waits for a segment. Call it with mu held.
func (j *Journal) tellRolled() {
	if j.rolled != nil {
		close(j.rolled)
		j.rolled = nil
	}
}

// keeper writes one snapshot, and removes what it makes needless.
type keeper struct {
	*Journal
	at     uint64 // the position that it stands for
	recs   queue
	rolled chan struct{} // closed when a segment has begun there
}

func (k *keeper) run() {
	b := k.backoff()
	for {
		names, id, err := k.save()
		if err == nil {
			select {
			case <-k.rolled:
				k.tidy(names, id)
			case <-k.ctx.Done():
			}
			return
		}
		if k.ctx.Err() != nil {
			return
		}
		k.opts.Log.Warn("a snapshot of the journal could not be written; it is tried again", "err", err)
		if !b.sleep(k.ctx) {
			return
		}
	}
}

// save writes the snapshot, and returns what the store held when it was safe.
func (k *keeper) save() (names []fileID, id fileID, err error) {
	k.mu.Lock()
	k.seq++
	id = fileID{snapshot, k.opts.Epoch, k.seq}
	k.mu.Unlock()
	name := id.String()
	var file File
	if err := k.call("create", name, func(ctx context.Context) (err error) {
		file, err = k.opts.Store.Create(ctx, name)
		return err
	}); err != nil {
		return nil, id, err
	}
	defer func() { k.closeLater(file, name) }()
	if _, err := k.look(k.call); err != nil {
		return nil, id, err
	}
	size, err := k.fill(file, id)
	if err != nil {
		return nil, id, err
	}
	if names, err = k.look(k.call); err != nil {
		return nil, id, err
	}
	k.mu.Lock()
	k.snapSafe, k.snapSize, k.snapping = k.at, size, false
	k.mu.Unlock()
	k.wake()
	return names, id, nil
}

// fill writes all of it. The end is written when what comes before it is safe, so that there is
// no end where something is missing.
func (k *keeper) fill(file File, id fileID) (size int64, err error) {
	name, seed := id.String(), k.plan.id.seed()
	write := func(p []byte) error {
		size += int64(len(p))
		return k.call("write", name, func(ctx context.Context) error { return file.Write(ctx, p) })
	}
	flush := func() error { return k.call("flush", name, file.Flush) }
	if err := write(appendHeader(nil, header{fileID: id, id: k.plan.id, epochFirst: k.begun, first: k.at})); err != nil {
		return size, err
	}
	if err := flush(); err != nil {
		return size, err
	}
	for _, b := range k.recs.blocks {
		if err := write(b.seal(0, seed)); err != nil {
			return size, err
		}
	}
	if err := flush(); err != nil {
		return size, err
	}
	end := make([]byte, frameLen)
	frame{end: true, first: k.recs.next, sum: seed}.put(end, seed)
	if err := write(end); err != nil {
		return size, err
	}
	return size, flush()
}

// tidy removes what the snapshot stands for: all of earlier epochs but their markers, older
// snapshots, and the segments that end before it. What cannot be removed now is by the next one.
func (k *keeper) tidy(names []fileID, id fileID) {
	k.mu.Lock()
	needed := uint32(0) // the first segment of this epoch that is
	for i, s := range k.own {
		if i+1 == len(k.own) || k.own[i+1].first > k.at {
			needed = s.seq
			k.own = append(k.own[:0], k.own[i:]...)
			break
		}
	}
	k.mu.Unlock()
	for _, f := range names {
		old := f.kind == snapshot && f.seq < id.seq || f.kind == segment && f.seq < needed
		if f.kind != marker && (f.epoch < id.epoch || f.epoch == id.epoch && old) {
			k.remove(f)
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

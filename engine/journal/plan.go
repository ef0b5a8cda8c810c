package journal

import (
	"cmp"
	"math"
	"slices"
)

// found is a sealed file of an earlier epoch, as its header describes it.
type found struct {
	header
	whole bool // a snapshot whose end mark was seen
	size  int64
}

// plan says what is replayed.
type plan struct {
	id       journalID
	base     *found // the snapshot; nil if there is none
	first    uint64 // records that it stands for
	segments []part // then these, in order
}

// part is a segment, and the position from which on its records do not count: where a later
// epoch's begin.
type part struct {
	found
	limit uint64
}

// newest orders snapshots: the one to begin with first.
func newest(a, b found) int {
	return cmp.Or(cmp.Compare(b.epoch, a.epoch), cmp.Compare(b.first, a.first), cmp.Compare(b.seq, a.seq))
}

// decide chooses from files with readable headers. id is for a new journal.
func decide(files []found, id journalID) (plan, error) {
	p := plan{id: id}
	for _, f := range slices.SortedFunc(slices.Values(files), newest) {
		if f.kind == snapshot && f.whole {
			p.base, p.first = &f, f.first
			break
		}
	}
	limits := limits(files)
	for _, f := range files {
		limit := limits(f.epoch)
		if f.kind != segment || p.base != nil && f.epoch < p.base.epoch || f.first >= limit {
			continue
		}
		p.segments = append(p.segments, part{f, limit})
	}
	slices.SortFunc(p.segments, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.seq, b.seq))
	})
	p.segments = p.without()
	return p, p.identify()
}

// limits returns where the records of an epoch end for good: where the next one that wrote
// something begins.
func limits(files []found) func(epoch uint64) uint64 {
	return func(epoch uint64) uint64 {
		limit := uint64(math.MaxUint64)
		for _, f := range files {
			if f.epoch > epoch {
				limit = min(limit, f.epochFirst)
			}
		}
		return limit
	}
}

// without leaves out segments whose records are all in the snapshot: the next of the same
// epoch begins with it, or before. Nothing is read that may be removed meanwhile.
func (p *plan) without() []part {
	var keep []part
	for i, s := range p.segments {
		if i+1 < len(p.segments) && p.segments[i+1].epoch == s.epoch && p.segments[i+1].first <= p.first {
			continue
		}
		keep = append(keep, s)
	}
	return keep
}

// identify takes the journal's id from what counts, which must be of one journal.
func (p *plan) identify() error {
	var counts []found
	if p.base != nil {
		counts = append(counts, *p.base)
	}
	for _, s := range p.segments {
		counts = append(counts, s.found)
	}
	for i, f := range counts {
		if i == 0 {
			p.id = f.id
		} else if f.id != p.id {
			return &DamageError{File: f.String(), Why: "it is of another journal than " + counts[0].String()}
		}
	}
	return nil
}

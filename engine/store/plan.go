package store

// plan decides where results lie. It is pure: it counts bytes, keeps the results in
// memory in the order of their last use, and knows the marks. Sizes are those of
// footprint for memory and of the result itself for disk.
//
//	0 ─────────────── low ─────── high ────────── budget
//	   results come     │           │ over it, cold results are written to disk in the
//	   back from disk   │           │ background until low is reached; above the budget
//	   up to here                     new results go to disk as they come
type plan struct {
	budget, low, high uint64
	limit             uint64 // bytes on disk; 0: results may not lie there

	memory, disk uint64 // bytes taken, those reserved for writers included
	coldest      *entry // of those in memory; linked by warmer
	hottest      *entry
}

// place is where a result may go.
type place uint8

const (
	nowhere place = iota
	inMemory
	onDisk
)

func newPlan(budget, limit uint64) plan {
	return plan{budget: budget, low: budget / 8 * 6, high: budget / 8 * 7, limit: limit}
}

// memoryFits reports whether so many bytes more fit into memory.
func (p *plan) memoryFits(n uint64) bool { return n <= p.budget && p.memory <= p.budget-n }

// diskFits reports whether so many bytes more fit onto disk.
func (p *plan) diskFits(n uint64) bool { return n <= p.limit && p.disk <= p.limit-n }

// growsInMemory reports whether a result of unknown size, which takes so many bytes,
// may take n more. Where there is no disk only room counts.
func (p *plan) growsInMemory(taken, n uint64) bool {
	return p.memoryFits(n) && (p.limit == 0 || taken+n <= max(p.budget/2, n))
}

// place says where a result of size bytes goes.
func (p *plan) place(size int64) place {
	switch {
	case p.memoryFits(footprint(size)):
		return inMemory
	case p.diskFits(uint64(size)):
		return onDisk
	}
	return nowhere
}

// full is the error for a result that has no place.
func (p *plan) full(size int64) *FullError {
	return &FullError{Size: uint64(size), Used: p.memory, Memory: p.budget, OnDisk: p.disk, Disk: p.limit}
}

// fitsBack reports whether a result on disk may come back into memory: it never
// drives another out.
func (p *plan) fitsBack(size int64) bool {
	n := footprint(size)
	return n <= p.low && p.memory <= p.low-n
}

// victim returns the coldest result that can leave memory, nil if there is none. Those
// that are open would keep their memory.
func (p *plan) victim() *entry {
	for e := p.coldest; e != nil; e = e.warmer {
		if e.memory.refs == 1 && !e.moving && (e.file != nil || p.diskFits(uint64(e.size))) {
			return e
		}
	}
	return nil
}

// touch makes e the one used last. It must be in memory.
func (p *plan) touch(e *entry) {
	if p.hottest == e {
		return
	}
	p.unlink(e)
	e.colder = p.hottest
	if e.colder == nil {
		p.coldest = e
	} else {
		e.colder.warmer = e
	}
	p.hottest = e
}

// unlink takes e out of the order, if it is in it.
func (p *plan) unlink(e *entry) {
	switch {
	case e.colder != nil:
		e.colder.warmer = e.warmer
	case p.coldest == e:
		p.coldest = e.warmer
	default:
		return
	}
	if e.warmer != nil {
		e.warmer.colder = e.colder
	} else {
		p.hottest = e.colder
	}
	e.colder, e.warmer = nil, nil
}

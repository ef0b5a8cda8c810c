package graph

import "sort"

// Log is a list of task indices that only grows: in pieces, so that growing never needs it
// twice, and in runs of many that follow one another. A position in it is for ever. The
// zero Log is empty.
type Log struct {
	pieces [][]uint32
	runs   []logRun
	inRuns int // indices that runs stand for
	n      int
}

// logRun is the n indices from first on, at the positions from at on.
type logRun struct {
	at, before int // before: indices in earlier runs
	first, n   uint32
}

const pieceLen = 1 << 14

// Len returns how many indices there are.
func (l *Log) Len() int { return l.n }

// Add adds an index.
func (l *Log) Add(i uint32) {
	single := l.n - l.inRuns
	if single == len(l.pieces)*pieceLen {
		var piece []uint32
		if single > 0 {
			piece = make([]uint32, 0, pieceLen)
		}
		l.pieces = append(l.pieces, piece)
	}
	last := &l.pieces[len(l.pieces)-1]
	*last = append(*last, i)
	l.n++
}

// AddRun adds n indices from first on. It costs as much as a few.
func (l *Log) AddRun(first, n uint32) {
	l.runs = append(l.runs, logRun{at: l.n, before: l.inRuns, first: first, n: n})
	l.n += int(n)
	l.inRuns += int(n)
}

// At returns the i-th index, from 0 on.
func (l *Log) At(i int) uint32 {
	if k := sort.Search(len(l.runs), func(k int) bool { return l.runs[k].at > i }) - 1; k >= 0 {
		r := &l.runs[k]
		if i-r.at < int(r.n) {
			return r.first + uint32(i-r.at)
		}
		i -= r.before + int(r.n)
	}
	return l.pieces[i/pieceLen][i%pieceLen]
}

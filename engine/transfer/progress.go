package transfer

// progress says which blocks of a result are here, being fetched, or to be fetched. It
// is pure.
type progress struct {
	state []blockState
	next  int // no block before it is to be fetched
	left  int // blocks that are not here
}

type blockState uint8

const (
	toFetch blockState = iota
	asked
	here
)

func newProgress(blocks int) progress {
	return progress{state: make([]blockState, blocks), left: blocks}
}

// take chooses up to most blocks in a row to ask for.
func (p *progress) take(most int) (first, count int) {
	for p.next < len(p.state) && p.state[p.next] != toFetch {
		p.next++
	}
	first = p.next
	for p.next < len(p.state) && count < most && p.state[p.next] == toFetch {
		p.state[p.next] = asked
		p.next++
		count++
	}
	return first, count
}

// arrived notes a block that was asked for.
func (p *progress) arrived(i int) {
	p.state[i] = here
	p.left--
}

// back gives up those of a row that have not arrived.
func (p *progress) back(first, count int) {
	for i := first; i < first+count; i++ {
		if p.state[i] == asked {
			p.state[i] = toFetch
			p.next = min(p.next, i)
		}
	}
}

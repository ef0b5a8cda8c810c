package adapt

import (
	"math"
	"slices"
	"time"
)

// pool is what is remembered of a pool from one View to the next.
type pool struct {
	want  int           // how many it shall have
	moved time.Duration // when that grew, or a worker came

	// asks are the times of what was asked for and is not there, oldest first: as many as
	// want is above live. unasked is that of one of which nobody knows when it was asked for.
	asks  []time.Duration
	live  int
	given int // live ones, and containers that are no workers yet
	round uint64

	// delays are the latest from request to ready.
	delays []time.Duration
	next   int

	// ceiling bounds what may be asked for and not be there while the cluster does not
	// give what was asked for; 0: there is no bound. It grows by more with each answer.
	ceiling  int
	answered time.Duration // when a worker or container last came, or the asks began

	// probing is when work of unknown length came; below 0: there is none.
	probing time.Duration

	// The last Config.Idle, oldest first.
	past []moment
}

type moment struct {
	at     time.Duration
	enough int
	work   float64 // seconds of one worker that remained
	busy   float64
}

// unasked is the time of an ask of before there was this core, and of a worker that was lost
// while its container is there: when it comes, that tells nothing of how long a start takes.
const unasked time.Duration = math.MinInt64

const (
	keptDelays = 32
	keptPast   = 4096
	more       = 4
)

func newPool(now time.Duration, p *Pool) *pool {
	return &pool{want: p.Wanted, moved: now, live: p.Live, given: p.Live + p.Starting, round: p.Round, answered: now, probing: -1, asks: times(unasked, p.Wanted-p.Live)}
}

func times(at time.Duration, n int) []time.Duration {
	return slices.Repeat([]time.Duration{at}, max(0, n))
}

// observe takes in which workers came and went.
func (m *pool) observe(now, patience time.Duration, p *Pool) {
	if p.Round != m.round {
		m.round, m.ceiling, m.answered = p.Round, 0, now
	}
	came := p.Live - m.live
	m.live = p.Live
	if came > 0 {
		m.moved, m.answered = now, now
		for range min(came, len(m.asks)) {
			// One that had to wait for another to go, or for the cluster to have room, does not
			// tell how long a start takes.
			if asked := m.asks[0]; asked != unasked && p.Draining == 0 && now-asked <= patience {
				m.sample(now - asked)
			}
			m.asks = m.asks[1:]
		}
	}
	if p.Live+p.Starting > m.given { // the cluster gives
		m.answered = now
		m.ceiling *= more
	}
	m.given = p.Live + p.Starting
	m.pending(now)
}

// pending has as many asks as want is above live: what is lost is asked for anew, what is
// taken back is the newest. Containers that are there and that no ask is for need not be
// asked for.
func (m *pool) pending(now time.Duration) {
	n := max(0, m.want-m.live)
	if len(m.asks) == 0 {
		m.answered = now
	}
	if more := n - len(m.asks); more > 0 {
		there := min(more, max(0, m.given-m.live-len(m.asks)))
		m.asks = slices.Concat(times(unasked, there), m.asks, times(now, more-there))
	}
	m.asks = m.asks[:n]
	if n == 0 {
		m.ceiling = 0
	}
}

// wants sets what the pool shall have.
func (m *pool) wants(now time.Duration, n int) {
	if n > m.want {
		m.moved = now
	}
	m.want = n
	m.pending(now)
}

func (m *pool) sample(d time.Duration) {
	if len(m.delays) < keptDelays {
		m.delays = append(m.delays, d)
		return
	}
	m.delays[m.next] = d
	m.next = (m.next + 1) % keptDelays
}

// delay is what nine of ten workers took from request to ready.
func (m *pool) delay(unknown time.Duration) time.Duration {
	if len(m.delays) == 0 {
		return unknown
	}
	s := slices.Clone(m.delays)
	slices.Sort(s)
	return s[(len(s)*9-1)/10]
}

// unmet is for how long nothing has come of what was asked for, once that is longer than
// patience; from then on little is asked for.
func (m *pool) unmet(now, patience time.Duration, p *Pool) time.Duration {
	if p.Starting > 0 { // they are on their way
		m.answered = now
	}
	since := now - m.answered
	if len(m.asks) == 0 || since < max(patience, 3*m.delay(0)) {
		return 0
	}
	m.ceiling = 1
	return since
}

// cap is the most that the pool may want while the cluster gives nothing.
func (m *pool) cap(p *Pool) int {
	if m.ceiling == 0 {
		return math.MaxInt
	}
	return p.Live + p.Starting + m.ceiling
}

// room is the most that the pool may want while the cluster says how many more it has room
// for. One is asked for in any case: that room may come because somebody waits.
func (p *Pool) room() int {
	if p.Headroom < 0 {
		return math.MaxInt
	}
	return p.Live + p.Starting + max(1, p.Headroom)
}

// probe is how many workers try tasks of which nobody knows how long they take: one, and
// twice as many after each step, as long as that lasts.
func (m *pool) probe(now, step time.Duration, width int) int {
	if width == 0 {
		m.probing = -1
		return 0
	}
	if m.probing < 0 {
		m.probing = now
	}
	n := 1 << min((now-m.probing)/step, 30)
	return min(n, width)
}

// remember keeps how many were enough, and how many were busy.
func (m *pool) remember(now, idle time.Duration, enough int, work, busy float64) {
	m.past = append(m.past, moment{now, enough, work, busy})
	old := 0
	for old < len(m.past)-1 && (m.past[old].at < now-idle || len(m.past)-old > keptPast) {
		old++
	}
	m.past = append(m.past[:0], m.past[old:]...)
}

// peak is the most that were enough lately.
func (m *pool) peak() (n int) {
	for _, x := range m.past {
		n = max(n, x.enough)
	}
	return n
}

// busy is how many were busy lately, on the average.
func (m *pool) busy() float64 {
	sum := 0.0
	for _, x := range m.past {
		sum += x.busy
	}
	return sum / float64(len(m.past))
}

// Work comes as a stream when it came in nearly all parts of the last while.
const (
	streamPart  = 5 * time.Second
	streamParts = 4
)

// stream is how many workers are kept busy by what comes: what was done in a while, and
// what there is more to do after it. It is the second smallest of the last parts, so that
// what comes at once is no stream. 0: there was no such while yet.
func (m *pool) stream(now time.Duration, work, busy float64) float64 {
	var rates []float64
	end, at := moment{at: now, work: work, busy: busy}, len(m.past)-1
	for range streamParts {
		begin, sum, n := end, end.busy, 1.0
		for ; at >= 0 && end.at-begin.at < streamPart; at-- {
			begin = m.past[at]
			sum, n = sum+begin.busy, n+1
		}
		if end.at-begin.at < streamPart {
			return 0
		}
		rates = append(rates, sum/n+(end.work-begin.work)/(end.at-begin.at).Seconds())
		end = begin
	}
	slices.Sort(rates)
	return max(0, rates[1])
}

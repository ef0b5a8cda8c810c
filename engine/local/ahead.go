package local

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// Small tasks would spend more time on the way to their executor and back than in it,
// so attempts are handed out ahead: before there is a slot for them.
//
//	ready ──slots free──► begun ──► ended
//	   ▲ └──ahead──► queue ─┘▲ others of the place ended
//	   └───recalled────┘
//
// A place (an executor) has been granted some of the worker's slots, and runs what it
// has been handed in order, as far as those slots go. What it then runs is not known
// here at once; but it follows from the order and from what has ended, so the core keeps
// the same queue as the executor does, a little behind.
//
// How much is handed out ahead is bounded by time (pace.ahead for each slot that the
// place has) as far as the class's tasks are known to be short: a class that is unknown
// or takes longer has none ahead. When all that has begun in a place did so pace.late
// whiles ago, the one in front takes longer than was thought, and what is behind it is
// recalled.
//
// Slots go back when a place has less left than it was granted. While another attempt
// stands before all others and waits for them, nothing is handed out ahead.
//
// # Who is told
//
// The scheduler hears that an attempt has begun (Started) at once when its class is not
// known to be short, else when it still runs after pace.late whiles, and when something
// died: then of all that had begun, so that it does not take one for alone that was not.
// Most short tasks are never told: the scheduler must count on any assigned task having
// begun.

// pace is what tasks of a kind count as short, and as late.
type pace struct {
	ahead float64 // microseconds
	rest  uint64  // whiles between ticks
	late  uint64  // whiles, several times rest
}

// A command costs the start of a process, a millisecond, and its executor tells of ends
// some ten milliseconds late while others follow (executor.holdTime): more is handed out
// ahead, and it is waited for longer.
var (
	usual    = pace{ahead: 2_000, rest: 1, late: 2}
	commands = pace{ahead: 20_000, rest: 6, late: 12}
)

func (k *Class) pace() *pace {
	if k.Kind == graph.KindCommand {
		return &commands
	}
	return &usual
}

// place is where attempts run.
type place struct {
	granted int        // slots of the core's that it has
	handed  int        // slots of all attempts that it has and that are not parked
	used    int        // slots of those that have begun; at most granted
	begun   []*attempt // in the order in which they did
	queue   fifo       // not begun, in order
	young   int        // of begun: those not told
	pace    *pace
}

// handing is what an attempt has from being handed out.
type handing struct {
	ahead     bool
	begun     bool
	stand     stand
	told      bool   // or was stopped: nobody waits to hear that it began
	since     uint64 // the whiles that had passed when it began
	recalling bool
	asked     bool // the scheduler wants it back, if it has not begun
}

// handings are sums over all places.
type handings struct {
	whiles uint64 // that have passed
	young  int
	loose  int // in queues, and not being recalled
}

// took is a moving average of how long tasks take.
type took struct {
	known  bool
	micros float64
}

func (t *took) ran(micros uint32) {
	if !t.known {
		*t = took{true, float64(micros)}
		return
	}
	t.micros += (float64(micros) - t.micros) / 4
}

func (k *Class) ran(micros uint32) { k.took.ran(micros) }

// window is how many tasks of the class one slot ends in the time of its pace, at most most.
func (k *Class) window(most int) int {
	ahead := k.pace().ahead
	switch t := &k.took; {
	case !t.known || t.micros > ahead || most <= 0:
		return 0
	case t.micros*float64(most) <= ahead:
		return most
	default:
		return int(ahead / t.micros)
	}
}

// Rest returns after how many whiles the core needs a Tick; 0: it needs none.
func (c *Core) Rest() (whiles uint64) {
	if c.young == 0 && c.loose == 0 {
		return 0
	}
	for _, p := range c.places {
		if p.handed > 0 && (whiles == 0 || p.pace.rest < whiles) {
			whiles = p.pace.rest
		}
	}
	return whiles
}

func (c *Core) placeOf(a *attempt) *place {
	for len(c.places) <= a.Class.Place {
		c.places = append(c.places, &place{pace: &usual})
	}
	p := c.places[a.Class.Place]
	p.pace = a.Class.pace() // all its classes have the same
	return p
}

// mayGoAhead reports whether a may be handed out though no slot is free.
func (c *Core) mayGoAhead(a *attempt) bool {
	p := c.placeOf(a)
	return p.young > 0 && a.slots() <= p.granted &&
		p.queue.len() < min(c.cfg.Ahead, p.granted*a.Class.window(c.cfg.Ahead))
}

// hand hands a out, to slots that are free or ahead.
func (c *Core) hand(a *attempt, fits bool) {
	p := c.placeOf(a)
	a.state, a.handing = running, handing{ahead: !fits}
	if fits {
		c.free -= a.slots()
		p.granted += a.slots()
	}
	p.handed += a.slots()
	p.queue.push(a)
	c.loose++
	c.out.Run = append(c.out.Run, Start{Assignment: &a.Assignment, Ahead: !fits})
	c.advance(p)
}

// advance begins what the place begins by itself.
func (c *Core) advance(p *place) {
	for p.queue.len() > 0 && p.used+p.queue.front().slots() <= p.granted {
		c.begin(p, p.queue.pop())
	}
}

// begin notes that a, which was taken out of the queue, has begun.
func (c *Core) begin(p *place, a *attempt) {
	if !a.recalling {
		c.loose--
	}
	a.begun, a.since = true, c.whiles
	p.used += a.slots()
	p.begun = append(p.begun, a)
	p.young++
	c.young++
	if a.ahead && a.Class.TimeLimit > 0 {
		c.out.Begun = append(c.out.Begun, &a.Assignment)
	}
	if a.Class.window(min(c.cfg.Ahead, 1)) == 0 {
		c.tell(p, a)
	}
}

// tell notes that a has begun, and says so if somebody wants to know.
func (c *Core) tell(p *place, a *attempt) {
	if a.told {
		return
	}
	a.told = true
	if a.begun {
		p.young--
		c.young--
	}
	if c.self != 0 && a.state == running {
		c.out.Started = append(c.out.Started, a.Key)
	}
}

// takeOut takes an attempt out of its place, and slots that the place does not need.
func (c *Core) takeOut(a *attempt) {
	p := c.placeOf(a)
	if a.stand == active {
		p.handed -= a.slots()
	}
	if a.begun {
		i := slices.Index(p.begun, a)
		p.begun = slices.Delete(p.begun, i, i+1)
		if a.stand == active {
			p.used -= a.slots()
		} else {
			c.leaveParked(a)
		}
		if !a.told {
			p.young--
			c.young--
		}
	} else {
		p.queue.remove(a)
		if !a.recalling {
			c.loose--
		}
	}
	c.settle(p)
}

// settle takes slots back that the place does not need, and begins what it begins then.
func (c *Core) settle(p *place) {
	if back := p.granted - p.handed; back > 0 {
		p.granted -= back
		c.free += back
	}
	c.advance(p)
}

// setLimits tells places how many slots they have by now.
func (c *Core) setLimits() {
	for i := range c.out.Run {
		s := &c.out.Run[i]
		s.Limit = c.places[s.Class.Place].granted
	}
}

// tick tells of what has run for a while, and recalls what waits behind that alone.
func (c *Core) tick(whiles uint64) {
	c.whiles += whiles
	for _, p := range c.places {
		for _, a := range p.begun {
			if c.whiles-a.since >= p.pace.late {
				c.tell(p, a)
			}
		}
		if p.young > 0 {
			continue
		}
		for _, a := range p.queue.items() {
			c.recall(a)
		}
	}
}

func (c *Core) recall(a *attempt) {
	if a.recalling {
		return
	}
	a.recalling = true
	c.loose--
	c.out.Recall = append(c.out.Recall, &a.Assignment)
}

// recalled takes the answer to a recall. The attempt is in the queue, or it is thought
// to have begun since.
func (c *Core) recalled(r Answer) {
	a := c.attempts.get(r.Key)
	if a == nil {
		return // it ended first
	}
	if !a.recalling {
		panic(fmt.Sprintf("local: attempt %v was not recalled", r.Key))
	}
	if !r.OK {
		if a.recalling = false; !a.begun {
			c.loose++
		}
		c.answer(a, false)
		return
	}
	c.takeOut(a)
	switch {
	case a.state == stopping:
		c.attempts.remove(a)
		c.giveBack(a.borrows)
		if a.next != nil {
			c.assign(a.next)
		}
	case a.asked || c.self == 0:
		c.attempts.remove(a)
		c.giveBack(a.borrows)
		c.answer(a, true)
	default:
		a.handing = handing{}
		c.makeReady(a)
	}
}

// answer answers a Retract that waited for a recall.
func (c *Core) answer(a *attempt, ok bool) {
	if a.asked && c.self != 0 {
		c.out.Retracted = append(c.out.Retracted, Retracted{a.Key, ok})
	}
	a.asked = false
}

// tellOfDeaths tells of all that had begun when something died. What was in the dead
// one's queue, or had ended there, begins anew and is none of them.
func (c *Core) tellOfDeaths(ends []End) {
	for i := range ends {
		if !ends[i].Died {
			continue
		}
		a := c.attempts.get(ends[i].Key)
		if a == nil {
			continue
		}
		c.tell(c.placeOf(a), a)
		for n, p := range c.places {
			if n == a.Class.Place {
				continue
			}
			for _, b := range p.begun {
				c.tell(p, b)
			}
		}
	}
}

package schedtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/engine/graph"
)

// Plan says which schedule an adversary makes. Equal plans make equal ones.
type Plan struct {
	Seed    uint64
	Actions int      // before the world heals
	Without []string // what does not happen: see Features
	Trace   bool     // keep a log of every step
	Hash    bool     // take the core's whole state into the result's hash, after every turn
}

// Features are the things that a schedule can do without. Each schedule does without
// some of them, so that what hides behind the noise of one is seen.
var Features = []string{
	"cancel", "retry", "release", "pin", "close", "loose", "foreign", "hosts", "slots", "pools",
	"fail", "flaky", "poison", "setup", "crash", "cut", "part", "die", "retire", "scale", "missing",
	"again", "slow", "resubmit", "small", "restart", "needs", "only", "twice", "park", "range", "journal",
}

// String returns the flags that replay the plan.
func (p Plan) String() string {
	s := fmt.Sprintf("-seed %d -actions %d", p.Seed, p.Actions)
	if len(p.Without) > 0 {
		s += " -without " + strings.Join(p.Without, ",")
	}
	return s
}

// booksEvery is in how many schedules the core's books are counted after every step; in
// the others it is after every turn. A mistake in them stays, so it is found either way,
// and the twin looks at every task after every step of all.
const booksEvery = 8

// Run lets an adversary make a schedule, and plays it.
func Run(p Plan) Result {
	return play(p.Trace, p.Trace || p.Seed%booksEvery == 0, func(w *World, r *Result) {
		w.hashing = p.Hash
		a := newAdversary(p, w)
		defer func() { r.Actions = a.done }()
		a.start()
		for range p.Actions {
			a.do(a.choose())
		}
		for w.faults == 0 {
			a.do(Action{Op: OpSlow, M: a.anyMachine()})
			a.do(Action{Op: OpCut, W: a.anyConn()})
			a.join()
		}
	})
}

// adversary chooses actions. It looks at the world, so that most of them do something.
type adversary struct {
	*rand.Rand
	w    *World
	on   map[string]bool
	done []Action

	machines, conns, jobs int // names given
}

func newAdversary(p Plan, w *World) *adversary {
	a := &adversary{Rand: rand.New(rand.NewPCG(p.Seed, 1)), w: w, on: map[string]bool{}, done: make([]Action, 0, p.Actions+p.Actions/8)}
	for _, f := range Features {
		a.on[f] = a.IntN(5) > 0 && !slices.Contains(p.Without, f)
	}
	return a
}

func (a *adversary) do(act Action) {
	a.done = append(a.done, act)
	a.w.do(&a.done[len(a.done)-1])
}

func (a *adversary) chance(oneIn int) bool { return a.IntN(oneIn) == 0 }

// one returns one of several, often the first.
func (a *adversary) one(words ...string) string {
	if a.chance(2) {
		return words[0]
	}
	return words[a.IntN(len(words))]
}

// start sets the world up.
func (a *adversary) start() {
	c := worldConfig{Heal: a.Uint64() >> 40, Retry: a.on["retry"] && a.chance(2)}
	if a.on["small"] {
		c.MaxPrefill = int64(a.IntN(5))
		c.Fetches = int64(a.IntN(4))
		c.LocalityWait = int64(a.IntN(3)) * 200
		c.CopyTimeout = int64(a.IntN(2)) * 500
		c.Prefill = int64(a.IntN(2)) * 2000
	}
	a.do(Action{Op: OpConfig, Conf: c})
	for range 1 + a.IntN(4) {
		a.join()
	}
}

// choose picks the next action.
func (a *adversary) choose() Action {
	if a.w.awaiting && a.chance(3) {
		return a.comeBack()
	}
	switch n := a.IntN(100); {
	case n < 26:
		return a.up()
	case n < 46:
		return a.down()
	case n < 64:
		return a.work()
	case n < 72:
		return Action{Op: OpTurn}
	case n < 75:
		if a.on["twice"] && a.chance(4) {
			return Action{Op: OpTick, N: 1000 + a.Int64N(2000)}
		}
		return Action{Op: OpTick, N: a.Int64N(700)}
	case n < 88:
		return a.client()
	default:
		return a.mischief()
	}
}

// pick returns one of those for which ok holds; the zero value if none does.
func pick[T any](a *adversary, from []T, ok func(T) bool) (out T) {
	n := 0
	for _, v := range from {
		if !ok(v) {
			continue
		}
		if n++; a.IntN(n) == 0 {
			out = v
		}
	}
	return out
}

// batch is how many messages are taken at a time: mostly one.
func (a *adversary) batch() int64 {
	if a.chance(3) {
		return 1 + a.Int64N(4)
	}
	return 1
}

func (a *adversary) up() Action {
	c := pick(a, a.w.conns, func(c *conn) bool { return len(c.up) > 0 && !c.parted })
	if c == nil {
		return a.down()
	}
	return Action{Op: OpUp, W: c.name, N: a.batch()}
}

func (a *adversary) down() Action {
	c := pick(a, a.w.conns, func(c *conn) bool { return c.open && len(c.down) > 0 && !c.parted })
	if c == nil {
		return Action{Op: OpTurn}
	}
	return Action{Op: OpDown, W: c.name, N: a.batch()}
}

func (a *adversary) work() Action {
	m := pick(a, a.w.machines, func(m *machine) bool {
		return len(m.running)+len(m.flying) > 0 && !(m.slow && a.chance(2))
	})
	switch {
	case m == nil:
		return a.client()
	case len(m.flying) > 0 && (len(m.running) == 0 || a.chance(2)):
		how := ""
		if a.on["missing"] && a.chance(8) {
			how = a.one("fail", "late", "full")
		} else if a.chance(3) {
			how = "late"
		}
		return Action{Op: OpLand, M: m.name, N: int64(a.IntN(len(m.flying))), How: how}
	}
	act := Action{Op: OpEnd, M: m.name, N: int64(a.IntN(len(m.running)))}
	if a.on["park"] && a.chance(3) {
		act.Op = OpPark
		return act
	}
	switch {
	case a.on["setup"] && (a.chance(24) || m.name%4 == 1 && a.chance(2)): // some hosts are sick
		act.How = "setup"
	case a.on["fail"] && a.chance(24):
		act.How = a.one("time", "user")
	case a.on["die"] && a.chance(24):
		act.How = "memory"
	}
	return act
}

func (a *adversary) someHost() int { return a.IntN(3) }

func (a *adversary) somePool() string {
	if a.on["pools"] && a.chance(4) {
		return "big"
	}
	return ""
}

// join starts a machine.
func (a *adversary) join() {
	a.machines++
	a.conns++
	act := Action{Op: OpJoin, M: a.machines, W: a.conns, Host: a.someHost(), Pool: a.somePool(), Slots: 1}
	if a.on["slots"] {
		act.Slots += a.IntN(3)
	}
	if a.chance(4) {
		act.Mem = 1 << (22 + a.IntN(6))
	}
	if a.on["needs"] && a.chance(2) {
		act.Needs, act.GPUs = uint64(a.IntN(4))<<30, uint64(a.IntN(4))
	}
	a.do(act)
}

// rejoin connects a machine that was cut off.
func (a *adversary) rejoin(m *machine) Action {
	a.conns++
	act := Action{Op: OpJoin, M: m.name, W: a.conns}
	if a.chance(3) {
		act.How = "held"
	}
	return act
}

func (a *adversary) anyMachine() int {
	if m := pick(a, a.w.machines, func(*machine) bool { return true }); m != nil {
		return m.name
	}
	return 0
}

func (a *adversary) anyConn() int {
	if c := pick(a, a.w.conns, func(c *conn) bool { return c.open }); c != nil {
		return c.name
	}
	return 0
}

// mischief is one fault, or one change of scale, or the end of one.
func (a *adversary) mischief() Action {
	w := a.w
	if m := pick(a, w.machines, func(m *machine) bool { return m.conn == nil }); m != nil && a.chance(3) {
		return a.rejoin(m)
	}
	if c := pick(a, w.conns, func(c *conn) bool { return c.parted || !c.open && !c.gone || c.open && c.gone }); c != nil && a.chance(3) {
		switch {
		case c.parted:
			return Action{Op: OpMend, W: c.name}
		case c.open:
			return Action{Op: OpCut, W: c.name, How: a.one("", "late", "amid")}
		}
		return Action{Op: OpNotice, W: c.name, How: a.blame(6)}
	}
	type choice struct {
		feature string
		make    func() Action
	}
	all := [...]choice{
		{"cut", func() Action { return Action{Op: OpCut, W: a.anyConn(), How: a.one("", "late", "amid")} }},
		{"cut", func() Action { return Action{Op: OpNotice, W: a.anyConn()} }},
		{"part", func() Action { return Action{Op: OpPart, W: a.anyConn()} }},
		{"crash", func() Action { return Action{Op: OpCrash, M: a.anyMachine(), How: a.blame(2)} }},
		{"die", func() Action { return Action{Op: OpDie, M: a.anyMachine(), How: a.one("", "memory")} }},
		{"missing", func() Action {
			return Action{Op: OpLose, M: a.anyMachine(), N: a.Int64N(8), How: a.one("told", "silent")}
		}},
		{"missing", func() Action {
			return Action{Op: OpLie, M: a.anyMachine(), N: a.Int64N(8), How: a.one("", "any")}
		}},
		{"again", func() Action {
			return Action{Op: OpAgain, W: a.anyConn(), N: a.Int64N(remembered), How: a.one("", "next", "other")}
		}},
		{"again", func() Action { return Action{Op: OpRedown, W: a.anyConn(), N: a.Int64N(remembered)} }},
		{"slow", func() Action { return Action{Op: OpSlow, M: a.anyMachine()} }},
		{"retire", a.retire},
		{"retire", a.retire},
		{"scale", a.grow},
		{"scale", a.grow},
		{"restart", func() Action {
			if !a.chance(12) {
				return Action{Op: OpTurn}
			}
			return Action{Op: OpRestart}
		}},
		{"journal", func() Action {
			act := Action{Op: OpRestart, How: "journal"}
			if a.chance(2) {
				act.N = a.Int64N(12)
			}
			return act
		}},
		{"journal", func() Action { return Action{Op: OpShadow} }},
	}
	if c := all[a.IntN(len(all))]; a.on[c.feature] {
		return c.make()
	}
	return a.up()
}

func (a *adversary) blame(oneIn int) string {
	if a.chance(oneIn) {
		return "blame"
	}
	return ""
}

func (a *adversary) grow() Action {
	if len(a.w.machines) < 6 {
		a.join()
	}
	return Action{Op: OpTurn}
}

func (a *adversary) retire() Action {
	if a.chance(2) {
		return Action{Op: OpRetire, Pool: a.somePool(), N: a.Int64N(4)}
	}
	return Action{Op: OpRetire, W: a.anyConn()}
}

// client makes one request.
func (a *adversary) client() Action {
	j := pick(a, a.w.jobs, func(j *job) bool { return !j.closed })
	if j == nil || len(a.w.jobs) < 3 && a.chance(8) {
		return a.open()
	}
	tasks := len(j.tasks) > 0
	switch n := a.IntN(26); {
	case n < 9 || !tasks:
		return a.submit(j)
	case n < 13 && a.on["release"]:
		if a.on["range"] && a.chance(4) {
			return Action{Op: OpReleaseRun, N: 1 + a.Int64N(20), Names: a.names(j, 1)}
		}
		return Action{Op: OpRelease, Names: a.names(j, 1+a.IntN(6))}
	case n < 15 && a.on["cancel"]:
		if a.on["range"] && a.chance(4) {
			return Action{Op: OpCancelRun, N: 1 + a.Int64N(20), Names: a.names(j, 1)}
		}
		return Action{Op: OpCancel, Names: a.names(j, 1+a.IntN(3))}
	case n < 17 && a.on["pin"]:
		return Action{Op: OpPin, Names: a.names(j, 1)}
	case n == 17 && a.chance(3):
		return Action{Op: OpUnpin, Names: a.names(j, 1)}
	case n == 17 && len(j.pinned) > 0:
		return Action{Op: OpUnpin, Names: []Name{a.w.oracle.specs[j.pinned[a.IntN(len(j.pinned))]].name}}
	case n == 18 && len(j.pinned) > 0:
		return Action{Op: OpLeave, J: j.name}
	case n < 21 && a.on["retry"]:
		return a.retry()
	case n == 21 && a.on["close"] && a.chance(3):
		return Action{Op: OpClose, J: j.name}
	case n == 22 && a.on["resubmit"]:
		return Action{Op: []Op{OpResubmit, OpOpen}[a.IntN(2)], J: a.w.jobs[a.IntN(len(a.w.jobs))].name}
	case n == 23:
		return Action{Op: OpRead, Names: a.names(j, 1)}
	case n == 24 && len(j.classes) < 6:
		return Action{Op: OpClass, J: j.name, Class: a.behaviour()}
	}
	return Action{Op: OpTurn}
}

// names are some tasks of a job, or, now and then, of any.
func (a *adversary) names(j *job, n int) (names []Name) {
	for range n {
		from := j
		if a.chance(8) {
			from = a.w.jobs[a.IntN(len(a.w.jobs))]
		}
		names = append(names, Name{from.name, a.IntN(len(from.tasks) + 1)})
	}
	return names
}

// retry asks for tasks to be tried again, failed ones more often than others.
func (a *adversary) retry() Action {
	act := Action{Op: OpRetry}
	for range 1 + a.IntN(3) {
		t := pick(a, a.w.twin.tasks, func(t *twinTask) bool { return t.failed != 0 || a.chance(8) })
		if t != nil {
			act.Names = append(act.Names, t.name)
		}
	}
	return act
}

func (a *adversary) open() Action {
	a.jobs++
	a.do(Action{Op: OpOpen, J: a.jobs})
	for range 1 + a.IntN(4) {
		a.do(Action{Op: OpClass, J: a.jobs, Class: a.behaviour()})
	}
	return a.submit(a.w.jobs[len(a.w.jobs)-1])
}

func (a *adversary) behaviour() *behaviour {
	b := &behaviour{does: "ok", size: uint64(a.IntN(1 << 24)), inline: a.chance(3), micros: uint32(1 << a.IntN(22))}
	b.class = graph.Class{Kind: graph.KindGo, Priority: int32(a.IntN(3) - 1), Retries: uint16(a.IntN(3)), Deaths: uint16(a.IntN(4))}
	if a.chance(4) {
		b.class.Kind = graph.KindCommand // its executor is shared as well
	}
	b.class.Actor = b.class.Retries == 2 && b.class.Deaths == 2 // here no more than that attempts are fenced
	if b.inline {
		b.size = uint64(a.IntN(4096))
	}
	if a.on["slots"] && a.chance(4) {
		b.class.Resources.Slots = 2
	}
	if a.on["pools"] && a.chance(6) {
		b.class.Pool = "big"
	}
	if a.on["needs"] && a.chance(4) {
		b.class.Resources.Memory = uint64(a.IntN(3)) << 30
		b.gpus = uint64(a.IntN(3))
	}
	b.class.Idempotent = a.on["twice"] && a.chance(2)
	if a.on["only"] && a.chance(8) {
		b.only = 1 + a.someHost()
	}
	switch n := a.IntN(40); {
	case n < 4 && a.on["fail"]:
		b.does = "bad"
	case n < 10 && a.on["flaky"]:
		b.does = "flaky"
	case n == 10 && a.on["poison"]:
		b.does = "poison"
	case n == 11 && a.on["poison"]:
		b.does = "bomb"
	}
	return b
}

// submit adds a few tasks of random shape.
func (a *adversary) submit(j *job) Action {
	first := len(j.tasks)
	if first > 30 || len(j.classes) == 0 {
		return Action{Op: OpTurn}
	}
	if a.on["range"] && a.chance(8) {
		return Action{Op: OpRange, J: j.name, N: 1 + a.Int64N(16), Tasks: []taskSpec{{Task: first, Class: a.IntN(len(j.classes))}}}
	}
	act := Action{Op: OpSubmit, J: j.name}
	shape := a.IntN(3)
	loose := a.on["loose"] && a.chance(2)
	for k := range 1 + a.IntN(8) {
		t := taskSpec{Task: first + k, Class: a.IntN(len(j.classes))}
		t.Deps = a.deps(j, t.Task, shape)
		if a.on["hosts"] && a.chance(3) {
			for range 1 + a.IntN(2) {
				t.Hosts = append(t.Hosts, a.IntN(4))
			}
		}
		t.Loose = loose && a.chance(2)
		act.Tasks = append(act.Tasks, t)
	}
	return act
}

// deps chooses dependencies: a chain, a fan, or anything that came before.
func (a *adversary) deps(j *job, i, shape int) (deps []Name) {
	switch {
	case shape == 0 && i > 0:
		deps = append(deps, Name{j.name, i - 1})
	case shape == 1 && i%4 == 0:
		for d := i - min(i, 4); d < i; d++ {
			deps = append(deps, Name{j.name, d})
		}
	case shape == 2 && i > 0:
		for range a.IntN(4) {
			deps = append(deps, Name{j.name, a.IntN(i)})
		}
	}
	if a.on["foreign"] && a.chance(6) {
		if other := a.w.jobs[a.IntN(len(a.w.jobs))]; other != j {
			deps = append(deps, Name{other.name, a.IntN(len(other.tasks) + 1)}) // now and then one that does not exist
		}
	}
	return deps
}

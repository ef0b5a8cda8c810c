package local

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/engine/graph"
)

// world drives a core with random events and checks what must always hold.
type world struct {
	t    *testing.T
	rnd  *rand.Rand
	c    *Core
	cfg  Config
	self graph.WorkerID

	next     uint32
	assigned map[Key]*Assignment // not yet ended in any way
	running  map[Key]*Assignment // handed out
	execs    [2]exec
	recall   map[Key]bool
	parked   map[Key]bool // false: it wants to go on
	classes  []*Class
	ghosts   map[Key]bool // run, though nobody wants to know how they end
	cancel   map[Key]bool
	flying   map[Key]Fetch
	abandon  map[Key]bool
	store    map[Key]uint64
	ends     map[Key]int  // reports of each attempt
	unsaid   map[Key]bool // ended while nobody could be told, and must be told
	started  map[Key]bool // said to have begun on this connection
	loans    int          // seen
	kept     int          // went on with a new connection
	aheads   int          // handed out ahead
	recalls  int          // that were answered yes
	resumes  int          // of parked ones
}

// exec is a model of an executor.
type exec struct {
	limit int
	order []Key // not begun
	begun map[Key]bool
}

// begin has executors begin what they can, however late the core hears of it, and
// checks that they never take more slots than there are.
func (w *world) begin() {
	total := 0
	for i := range w.execs {
		x := &w.execs[i]
		used := 0
		for k := range x.begun {
			if _, parked := w.parked[k]; !parked {
				used += w.running[k].slots()
			}
		}
		for len(x.order) > 0 && used+w.running[x.order[0]].slots() <= x.limit {
			k := x.order[0]
			x.order = x.order[1:]
			x.begun[k] = true
			used += w.running[k].slots()
		}
		total += used
	}
	if total > w.cfg.Slots {
		w.t.Fatalf("%d slots taken of %d", total, w.cfg.Slots)
	}
}

// leaves takes an attempt out of its executor.
func (w *world) leaves(k Key) {
	x := &w.execs[w.running[k].Class.Place]
	delete(x.begun, k)
	x.order = slices.DeleteFunc(x.order, func(o Key) bool { return o == k })
	delete(w.running, k)
	delete(w.cancel, k)
	delete(w.parked, k)
}

// park has something that has begun wait, or go on.
func (w *world) park() {
	k, ok := pick(w, w.running)
	if !ok || !w.hasBegun(k) {
		return
	}
	switch wants, parked := w.parked[k]; {
	case !parked:
		w.parked[k] = true
		w.step(Park{[]Key{k, w.someUnassigned()}})
	case wants:
		w.parked[k] = false
		w.step(Unpark{[]Key{k, w.someUnassigned()}})
	}
}

// resumed takes in that parked attempts have slots again.
func (w *world) resumed(o *Output) {
	for _, a := range o.Resumed {
		if wants, parked := w.parked[a.Key]; w.running[a.Key] != nil && (!parked || wants) {
			w.t.Fatalf("%v is resumed, which is parked: %v, or did not ask", a.Key, parked)
		}
		delete(w.parked, a.Key)
		w.resumes++
	}
	for _, k := range o.Unparked {
		if w.assigned[k] == nil || !slices.ContainsFunc(o.Resumed, func(a *Assignment) bool { return a.Key == k }) {
			w.t.Fatalf("%v is said to go on, which does not", k)
		}
	}
	for _, k := range o.Started {
		if w.assigned[k] == nil {
			w.t.Fatalf("%v is said to have begun, which is not assigned", k)
		}
		w.started[k] = true
	}
	for _, k := range o.Parked {
		if w.assigned[k] == nil || !w.started[k] {
			w.t.Fatalf("%v is said to be parked, which is not assigned or was not said to have begun", k)
		}
	}
}

func (w *world) hasBegun(k Key) bool { return w.execs[w.running[k].Class.Place].begun[k] }

// answerRecall gives back what has not begun.
func (w *world) answerRecall() {
	k, ok := pick(w, w.recall)
	if !ok {
		return
	}
	delete(w.recall, k)
	if w.running[k] == nil {
		return // it ended
	}
	yes := !w.hasBegun(k)
	if yes {
		w.recalls++
		w.leaves(k)
		if w.self == 0 && !w.ghosts[k] {
			w.unassign(k) // nobody is told
		}
		delete(w.ghosts, k)
	}
	w.step(Recalled{[]Answer{{k, yes}}})
}

// die ends what runs in an executor; what has not begun stays for the next one.
func (w *world) die() {
	x := &w.execs[w.rnd.IntN(len(w.execs))]
	var ends []End
	for {
		k, ok := pick(w, x.begun)
		if !ok {
			break
		}
		w.leaves(k)
		w.untold(k)
		ends = append(ends, End{Key: k, Failure: &graph.Failure{Kind: graph.FailDied}, Died: true})
	}
	w.step(Ended{ends})
}

func (w *world) step(e Event) { w.c.Step(e) }

// turn takes the output and checks it against the model.
func (w *world) turn() {
	t := w.t
	o := w.c.Output()
	for _, a := range o.Cancel {
		k := a.Key
		if w.cancel[k] {
			t.Fatalf("%v is cancelled twice", k)
		}
		if w.running[k] != nil { // else it ended in this turn
			w.cancel[k] = true
		}
	}
	for _, k := range o.Abandon {
		if w.abandon[k] {
			t.Fatalf("%v is abandoned twice", k)
		}
		if _, ok := w.flying[k]; ok { // else it was answered in this turn
			w.abandon[k] = true
		}
	}
	for _, k := range o.Drop {
		if _, ok := w.store[k]; !ok {
			t.Fatalf("drop of %v, which the store does not have", k)
		}
		delete(w.store, k)
	}
	for _, a := range o.Run {
		if w.assigned[a.Key] == nil || w.running[a.Key] != nil { // never two of one number
			t.Fatalf("run of %v, which is not assigned or runs", a.Key)
		}
		for i := range a.Inputs {
			if in := &a.Inputs[i]; !in.IsInline() {
				if _, ok := w.store[in.Key]; !ok {
					t.Fatalf("%v runs without its input %v", a.Key, in.Key)
				}
			}
		}
		w.running[a.Key] = a.Assignment
		x := &w.execs[a.Class.Place]
		x.limit, x.order = a.Limit, append(x.order, a.Key)
		if a.Ahead {
			w.aheads++
		}
	}
	for _, a := range o.Recall {
		if w.recall[a.Key] && w.running[a.Key] != nil {
			t.Fatalf("%v is recalled twice", a.Key)
		}
		w.recall[a.Key] = true
	}
	w.resumed(o)
	if w.rnd.IntN(2) == 0 {
		w.begin()
	}
	var bytes uint64
	for _, f := range o.Fetch {
		if _, ok := w.flying[f.Key]; ok {
			t.Fatalf("%v is fetched twice at once", f.Key)
		}
		if _, ok := w.store[f.Key]; ok {
			t.Fatalf("%v is fetched though it is here", f.Key)
		}
		if f.From == w.self {
			t.Fatalf("%v is fetched from itself", f.Key)
		}
		w.flying[f.Key] = f
	}
	for _, f := range w.flying {
		bytes += f.Size
	}
	if len(w.flying) > w.cfg.Fetches || len(w.flying) > 1 && bytes > w.cfg.FetchBytes {
		t.Fatalf("%d fetches of %d bytes", len(w.flying), bytes)
	}
	for _, d := range o.Done {
		w.end(d.Key)
	}
	for _, f := range o.Failed {
		if f.Failure.Kind == graph.FailInput && w.assigned[f.Key] == nil {
			continue // a Copy
		}
		w.end(f.Key)
	}
	for _, r := range o.Retracted {
		if r.OK {
			w.end(r.Key)
		}
	}
	uses := map[Key]int{}
	for a := range w.c.attempts.all() {
		for _, k := range a.borrows {
			uses[k]++
		}
	}
	for k, l := range w.c.borrowed {
		if _, ok := w.store[k]; !ok || l.uses != uses[k] || l.uses == 0 {
			t.Fatalf("loan %v is used %d times, counted %d; in the store: %v", k, l.uses, uses[k], ok)
		}
		if _, ok := w.c.held[k]; ok {
			t.Fatalf("%v is on loan and held", k)
		}
		w.loans++
	}
	for _, h := range o.Copied {
		if w.store[h.Key] != h.Size && !slices.Contains(o.Drop, h.Key) {
			t.Fatalf("copied %v of %d bytes, the store has %d", h.Key, h.Size, w.store[h.Key])
		}
	}
	if w.self == 0 && len(o.Started)+len(o.Done)+len(o.Failed)+len(o.Retracted)+len(o.Missing)+len(o.Copied) > 0 {
		t.Fatal("reports without a connection")
	}
}

// end counts one way in which an assigned attempt left.
func (w *world) end(k Key) {
	if w.assigned[k] == nil {
		w.t.Fatalf("end of %v, which is not assigned", k)
	}
	delete(w.assigned, k)
	delete(w.unsaid, k)
	delete(w.started, k)
	w.ends[k]++
	if w.ends[k] > 1 {
		w.t.Fatalf("%v ended %d times", k, w.ends[k])
	}
}

func (w *world) someKey() Key { return key(w.rnd.Uint32N(w.next+2), graph.Attempt(1+w.rnd.IntN(3))) }

func pick[V any](w *world, m map[Key]V) (Key, bool) {
	if len(m) == 0 {
		return Key{}, false
	}
	keys := make([]Key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, Key.Compare)
	return keys[w.rnd.IntN(len(keys))], true
}

func (w *world) assign() {
	var tasks []Assignment
	for range 1 + w.rnd.IntN(5) {
		k := key(w.next, 1)
		w.next++
		if w.rnd.IntN(5) == 0 && w.next > 3 { // another attempt of an old task
			k = key(w.rnd.Uint32N(w.next-1), graph.Attempt(2+w.rnd.IntN(5)))
			if w.assigned[k] != nil || w.ends[k] > 0 && !w.ghosts[k] {
				continue
			}
			delete(w.ends, k) // of the same number, but another: the old one is being stopped
		}
		a := assignment(k, w.classes[w.rnd.IntN(len(w.classes))])
		for range w.rnd.IntN(4) {
			in := input(key(1000+w.rnd.Uint32N(30), 1), uint64(w.rnd.IntN(60)))
			in.Size = uint64(in.Task.Index % 60)
			for range w.rnd.IntN(4) {
				in.Holders = append(in.Holders, graph.WorkerID(w.rnd.IntN(9)))
			}
			if len(in.Holders) == 0 {
				in.Inline = make([]byte, in.Size)
			}
			a.Inputs = append(a.Inputs, in)
		}
		tasks = append(tasks, a)
		w.assigned[k] = &tasks[len(tasks)-1]
		if len(a.Inputs) == 0 && int(a.Class.Resources.Slots) <= w.cfg.Slots && w.rnd.IntN(10) == 0 {
			tasks = append(tasks, a) // a duplicate, of an attempt that does not fail at once
		}
	}
	w.step(Assigned{tasks})
}

// unassign is what Stop and a lost connection do to attempts. What the core said of
// them before is heard first: on a connection it would have crossed the Stop.
func (w *world) unassign(k Key) {
	if w.assigned[k] != nil {
		w.end(k)
	}
	w.ghosts[k] = w.running[k] != nil
}

func (w *world) finish() {
	k, ok := pick(w, w.running)
	if !ok || !w.hasBegun(k) && !w.cancel[k] {
		return
	}
	begun := w.hasBegun(k)
	w.leaves(k)
	e := End{Key: k, Took: [...]uint32{0, 0, 100, 5000}[w.rnd.IntN(4)]}
	switch n := w.rnd.IntN(3); {
	case n == 0 || !begun:
		e.Failure = &graph.Failure{Kind: graph.FailUser}
	case n == 1:
		e.Kept, e.Size = true, 10
		w.store[k] = 10
	}
	if e.Kept && w.self == 0 && !w.ghosts[k] {
		w.unassign(k) // the inventory tells
	}
	w.untold(k)
	w.step(ended(e))
}

func (w *world) answerFetch() {
	k, ok := pick(w, w.flying)
	if !ok {
		return
	}
	f := w.flying[k]
	delete(w.flying, k)
	delete(w.abandon, k)
	if w.rnd.IntN(3) == 0 {
		e := FetchFailed{Key: k}
		if w.rnd.IntN(4) == 0 {
			e.Here = &graph.Failure{Kind: graph.FailMemory}
		}
		w.step(e)
		return
	}
	w.store[k] = f.Size
	w.step(Fetched{k})
}

func (w *world) random() {
	if w.self == 0 {
		switch w.rnd.IntN(8) {
		case 0:
			w.join()
		case 1:
			w.answerFetch()
		case 2:
			w.answerRecall()
		case 3:
			w.step(Tick{1})
		case 4:
			w.park()
		default:
			w.finish()
		}
		return
	}
	switch n := w.rnd.IntN(100); {
	case n < 30:
		w.assign()
	case n < 45:
		w.finish()
	case n < 50:
		w.answerRecall()
	case n < 53:
		w.park()
	case n < 56:
		w.step(Tick{1})
	case n < 57:
		w.die()
	case n < 58:
		w.begin()
	case n < 75:
		w.answerFetch()
	case n < 82:
		w.turn()
		k := w.someKey()
		w.unassign(k)
		w.step(Stop{[]Key{k, w.someUnassigned()}})
	case n < 89:
		w.step(Retract{[]Key{w.someKey(), w.someKey()}})
	case n < 94:
		k, _ := pick(w, w.store)
		w.step(Free{[]Key{k, key(1000+w.rnd.Uint32N(30), 1)}})
	case n < 96:
		k := key(1000+w.rnd.Uint32N(30), 1)
		w.step(Copy{[]CopyOrder{{k, uint64(k.Task.Index % 60), graph.WorkerID(w.rnd.IntN(9))}}})
	case n < 98:
		k, _ := pick(w, w.store)
		w.step(Lost{k})
	default:
		w.leave()
	}
}

func (w *world) someUnassigned() Key {
	k := w.someKey()
	if w.assigned[k] != nil {
		return Key{}
	}
	return k
}

func TestSimulation(t *testing.T) {
	loans, aheads, recalls, resumes, kept := 0, 0, 0, 0, 0
	for seed := range uint64(300) {
		w := &world{
			t: t, rnd: rand.New(rand.NewPCG(seed, 1)), cfg: Config{Slots: 1 + int(seed%4), Fetches: 1 + int(seed%5), FetchBytes: 80},
			assigned: map[Key]*Assignment{}, running: map[Key]*Assignment{}, ghosts: map[Key]bool{}, cancel: map[Key]bool{},
			flying: map[Key]Fetch{}, abandon: map[Key]bool{}, store: map[Key]uint64{}, ends: map[Key]int{}, recall: map[Key]bool{}, parked: map[Key]bool{},
			unsaid: map[Key]bool{}, started: map[Key]bool{},
		}
		for i := range w.execs {
			w.execs[i].begun = map[Key]bool{}
		}
		for i := range 6 {
			cl := class(int32(i%3), uint16(w.rnd.IntN(w.cfg.Slots+2)))
			cl.Place = i % len(w.execs)
			w.classes = append(w.classes, cl)
		}
		w.c = New(w.cfg)
		for range 400 {
			w.random()
			if w.rnd.IntN(3) > 0 {
				w.turn()
			}
		}
		// Quiescence: everything that is under way ends, and nothing is left.
		w.turn()
		if w.self == 0 {
			w.join()
		}
		for i := 0; len(w.running)+len(w.flying) > 0; i++ {
			if i > 100_000 {
				t.Fatalf("seed %d: it does not come to rest", seed)
			}
			w.begin()
			w.finish()
			w.answerFetch()
			w.answerRecall()
			w.park()
			w.step(Tick{1})
			w.turn()
		}
		for i, p := range w.c.places {
			if p.granted != 0 || p.handed != 0 || p.used != 0 || p.young != 0 || len(p.begun)+p.queue.len() > 0 {
				t.Fatalf("seed %d: place %d is left with %+v", seed, i, *p)
			}
		}
		if w.c.Rest() > 0 {
			t.Fatalf("seed %d: it waits for ticks without work", seed)
		}
		c := w.c
		if len(w.assigned) > 0 || c.attempts.count > 0 || c.ready.count > 0 || len(c.fetches) > 0 || c.flying != 0 || c.bytes != 0 || c.free != w.cfg.Slots || c.parked != 0 || c.returning.len() > 0 {
			t.Fatalf("seed %d: left over: %d assigned; core: %d attempts, %d ready, %d fetches, %d flying, %d bytes, %d free slots",
				seed, len(w.assigned), c.attempts.count, c.ready.count, len(c.fetches), c.flying, c.bytes, c.free)
		}
		held := map[Key]uint64{}
		for _, h := range c.AppendHeld(nil) {
			held[h.Key] = h.Size
		}
		if d := cmp.Diff(w.store, held); d != "" {
			t.Fatalf("seed %d: store and core differ:\n%s", seed, d)
		}
		loans, aheads, recalls, resumes, kept = loans+w.loans, aheads+w.aheads, recalls+w.recalls, resumes+w.resumes, kept+w.kept
	}
	if aheads < 1000 || recalls < 100 || resumes < 1000 {
		t.Errorf("only %d were handed out ahead, %d given back, %d parked went on", aheads, recalls, resumes)
	}
	if kept < 1000 {
		t.Errorf("only %d attempts went on with a new connection", kept)
	}
	if loans < 1000 {
		t.Errorf("only %d times was anything on loan", loans)
	}
}

func BenchmarkTask(b *testing.B) {
	c := joined(Config{Slots: 4})
	cl := class(0, 0)
	i := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		var tasks [64]Assignment
		for j := range tasks {
			tasks[j] = Assignment{Key: key(i, 1), Class: cl}
			i++
		}
		c.Step(Assigned{tasks[:]})
		for o := c.Output(); len(o.Run) > 0; o = c.Output() {
			for _, a := range o.Run {
				c.Step(ended(End{Key: a.Key}))
			}
		}
	}
}

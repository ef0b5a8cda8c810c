package schedtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
)

// watch knows what a machine's core must have to do with, and judges each of its
// outputs.
type watch struct {
	seq      int
	live     map[local.Key]*lived
	unlived  map[local.Key]bool // in this turn: their last reports may still come
	retracts []local.Retracted  // answers that must come, in order
	copies   map[local.Key]bool // that were asked for
	keeps    map[local.Key]bool // the same, until it is done; false: unless it was given up for a holder that failed
	begun    []*lived           // in this turn
	tried    map[try]bool       // whom it has ever asked for what
	missing  []local.Key        // in this turn: what the scheduler must hear is missing
	arrived  map[local.Key]bool // in this turn: whether the scheduler must hear of it
	unsaid   map[local.Key]bool // ended without a connection, and must be told on the next one
	goOn     []local.Key        // at the beginning of one: what must be said to run
	wait     []local.Key        // and to wait for others
}

// try is a holder that was asked for a result.
type try struct {
	key local.Key
	of  graph.WorkerID
}

// lived is an attempt that was assigned and has not left.
type lived struct {
	*local.Assignment
	seq     int
	spec    *spec
	running bool
	end     *local.End         // how it ended in this turn
	stays   bool               // it did not fail in the turn in which it came
	led     map[local.Key]bool // inputs that others of the machine's attempts are about to give
	here    map[local.Key]bool // inputs that have been here; what is freed then is missed at its turn
}

// note notes which inputs are here.
func (l *lived) note(m *machine) {
	for i := range l.Inputs {
		k := l.Inputs[i].Key
		if _, ok := m.store[k]; (ok || m.mislaid[k]) && !l.here[k] {
			if l.here == nil {
				l.here = map[local.Key]bool{}
			}
			l.here[k] = true
		}
	}
}

func (v *watch) init() {
	v.live, v.unlived = map[local.Key]*lived{}, map[local.Key]bool{}
	v.tried, v.unsaid = map[try]bool{}, map[local.Key]bool{}
	v.copies, v.keeps, v.arrived = map[local.Key]bool{}, map[local.Key]bool{}, map[local.Key]bool{}
}

func (v *watch) assigned(m *machine, a *local.Assignment, s *spec) {
	if v.live[a.Key] != nil || int(a.Class.Resources.Slots) > m.slots {
		return
	}
	v.seq++
	l := &lived{Assignment: a, seq: v.seq, spec: s}
	l.note(m)
	v.follow(m, l)
	v.live[a.Key] = l
}

// unlive notes that nobody wants to hear of an attempt any more.
func (v *watch) unlive(m *machine, k local.Key) {
	l := v.live[k]
	if l == nil {
		return
	}
	v.unlived[k] = true
	delete(v.live, k)
	if l.running {
		for _, r := range m.running {
			r.ghost = r.ghost || r.Key == k
		}
	}
}

func (v *watch) retract(k local.Key) {
	l := v.live[k]
	v.retracts = append(v.retracts, local.Retracted{Key: k, OK: l != nil && !l.running && !v.asked(k)})
}

// asked reports whether an attempt is given back in this turn already.
func (v *watch) asked(k local.Key) bool {
	return slices.Contains(v.retracts, local.Retracted{Key: k, OK: true})
}

// lost notes that the core hears of the loss of a result. If it counts it as its own,
// the scheduler must be told.
func (v *watch) lost(m *machine, k local.Key) {
	if slices.ContainsFunc(m.core.AppendHeld(nil), func(h local.Held) bool { return h.Key == k }) {
		v.missing = append(v.missing, k)
	}
}

// landed notes that a fetch ended well. What somebody wants is kept and told, apart from
// the scheduler's own results, which are a loan.
func (v *watch) landed(f *flight) {
	certain, asked := v.keeps[f.Key]
	if certain == asked && (asked || v.waits(f.Key, func(l *lived) bool { return !l.here[f.Key] })) {
		v.arrived[f.Key] = f.From != 0 || asked
	}
	delete(v.keeps, f.Key)
}

// stays reports whether an attempt is there for certain.
func (v *watch) stays(k local.Key) bool {
	l := v.live[k]
	return l != nil && l.stays && !v.asked(k)
}

// ended notes that an attempt executes no more.
func (v *watch) ended(m *machine, r *run, e *local.End) {
	l := v.live[r.Key]
	if l != nil {
		l.end = e
	}
	switch {
	case l == nil:
	case r.ghost: // another of the same number may begin now
		v.seq++
		l.seq = v.seq
	case !m.welcomed():
		delete(v.live, r.Key)
		v.untold(r.Key, e)
	}
}

// output objects to what a core wants that it must not want.
func (v *watch) output(m *machine, w *World, o *local.Output) error {
	for _, k := range o.Drop {
		if _, ok := m.store[k]; !ok && !m.mislaid[k] {
			return fmt.Errorf("machine %d drops %v, which it does not have", m.name, k)
		}
	}
	if err := v.reports(m, o); err != nil {
		return err
	}
	for _, k := range o.Missing {
		if _, ok := m.store[k]; ok && !slices.Contains(o.Drop, k) {
			return fmt.Errorf("machine %d says that %v is missing, which it has", m.name, k)
		}
	}
	for _, h := range o.Copied {
		if s, ok := m.store[h.Key]; (!ok || s.size != h.Size) && !m.mislaid[h.Key] {
			return fmt.Errorf("machine %d says that it has copied %v of %d bytes (there: %v)", m.name, h.Key, h.Size, ok)
		}
	}
	for k, told := range v.arrived {
		if m.welcomed() && told != slices.ContainsFunc(o.Copied, func(h local.Held) bool { return h.Key == k }) {
			return fmt.Errorf("machine %d fetched %v, and must tell that it keeps it: %v", m.name, k, told)
		}
	}
	clear(v.arrived)
	for _, k := range v.missing {
		if m.welcomed() && !slices.Contains(o.Missing, k) {
			return fmt.Errorf("machine %d has lost %v, and does not tell", m.name, k)
		}
	}
	v.missing = v.missing[:0]
	if !m.welcomed() && len(o.Started)+len(o.Done)+len(o.Failed)+len(o.Retracted)+len(o.Missing)+len(o.Copied)+len(o.Parked)+len(o.Unparked) > 0 {
		return fmt.Errorf("machine %d reports without a connection", m.name)
	}
	if err := v.runs(m, o); err != nil {
		return err
	}
	clear(v.unlived)
	return v.fetches(m, w, o)
}

// reports objects to ends of attempts that do not live, and to answers that are not
// due.
func (v *watch) reports(m *machine, o *local.Output) error {
	var ends []local.Key
	for _, d := range o.Done {
		ends = append(ends, d.Key)
	}
	for _, f := range o.Failed {
		if v.live[f.Key] == nil && v.copies[f.Key] && f.Failure.Kind == graph.FailInput {
			continue
		}
		if h, ok := v.untried(m, &f); ok {
			return fmt.Errorf("machine %d gives %v up for an input for which it has not asked worker %d", m.name, f.Key, h)
		}
		ends = append(ends, f.Key)
	}
	for _, k := range ends {
		if v.live[k] == nil && !v.unlived[k] && !v.unsaid[k] {
			return fmt.Errorf("machine %d tells the end of %v, which it was not given", m.name, k)
		}
		delete(v.live, k)
		delete(v.unsaid, k)
	}
	for k, due := range v.retracts {
		// What failed before it was asked for is not given back.
		due.OK = due.OK && !slices.Contains(ends, due.Key)
		if m.welcomed() && (len(o.Retracted) != len(v.retracts) || o.Retracted[k] != due) {
			return fmt.Errorf("machine %d answers retractions %v, due were %v", m.name, o.Retracted, v.retracts)
		}
		if due.OK {
			delete(v.live, due.Key)
		}
	}
	v.retracts = v.retracts[:0]
	return nil
}

// untried finds a holder that was not asked for an input for which an attempt failed.
func (v *watch) untried(m *machine, f *local.Failed) (graph.WorkerID, bool) {
	l := v.live[f.Key]
	if l == nil || !m.welcomed() || f.Failure.Kind != graph.FailInput || f.Holder == m.conn.id {
		return 0, false
	}
	for _, in := range l.Inputs {
		for _, h := range in.Holders {
			if in.Task == f.Input && h != m.conn.id && !v.tried[try{in.Key, h}] {
				return h, true
			}
		}
	}
	return 0, false
}

// runs objects to attempts that must not start.
func (v *watch) runs(m *machine, o *local.Output) error {
	for _, a := range o.Run {
		l := v.live[a.Key]
		if l == nil || l.running || slices.ContainsFunc(m.running, func(r *run) bool { return r.Key == a.Key }) {
			return fmt.Errorf("machine %d runs %v, which it was not given or runs already", m.name, a.Key)
		}
		l.running = true
		v.begun = append(v.begun, l)
		for i := range a.Inputs {
			in := &a.Inputs[i]
			if _, ok := m.store[in.Key]; !in.IsInline() && (!ok || slices.Contains(o.Drop, in.Key)) && !m.mislaid[in.Key] {
				return fmt.Errorf("machine %d runs %v without its input %v", m.name, a.Key, in.Key)
			}
		}
	}
	return v.begins(m, o)
}

// fetches objects to fetches that must not begin, or are too many.
func (v *watch) fetches(m *machine, w *World, o *local.Output) error {
	n, bytes := len(o.Fetch)+len(m.flying), uint64(0)
	for _, f := range m.flying {
		bytes += f.Size
	}
	for k, f := range o.Fetch {
		bytes += f.Size
		v.tried[try{f.Key, f.From}] = true
		same := func(g local.Fetch) bool { return g.Key == f.Key }
		if slices.ContainsFunc(m.flying, func(g *flight) bool { return g.Key == f.Key }) || slices.ContainsFunc(o.Fetch[:k], same) {
			return fmt.Errorf("machine %d fetches %v twice at once", m.name, f.Key)
		}
		if _, ok := m.store[f.Key]; ok && !slices.Contains(o.Drop, f.Key) {
			return fmt.Errorf("machine %d fetches %v, which it has", m.name, f.Key)
		}
		if m.welcomed() && f.From == m.conn.id {
			return fmt.Errorf("machine %d fetches %v from itself", m.name, f.Key)
		}
	}
	if n > m.fetches(w) || n > 1 && bytes > maxFetchBytes {
		return fmt.Errorf("machine %d has %d fetches of %d bytes under way", m.name, n, bytes)
	}
	return nil
}

// settled looks at what the machine runs after it has done all that its core wants:
// no more than its slots, and nothing waits that could run.
func (v *watch) settled(m *machine, w *World) error {
	free := m.slots
	for _, r := range m.running {
		if !r.parked {
			free -= slotsOf(r.Class.Class)
		}
		if r.ghost != r.cancelled {
			return fmt.Errorf("machine %d: %v is wanted by nobody: %v, and was told to end: %v", m.name, r.Key, r.ghost, r.cancelled)
		}
	}
	for _, f := range m.flying {
		if !f.abandoned && !v.wants(f.Key) {
			return fmt.Errorf("machine %d goes on to fetch %v, which nobody wants", m.name, f.Key)
		}
	}
	if free < 0 {
		return fmt.Errorf("machine %d runs more than its %d slots", m.name, m.slots)
	}
	if len(m.returns) > 0 && slotsOf(m.returns[0].Class.Class) <= free {
		return fmt.Errorf("machine %d has %d free slots, and %v does not go on", m.name, free, m.returns[0].Key)
	}
	if len(m.returns) > 0 && len(v.begun) > 0 {
		return fmt.Errorf("machine %d runs %v before %v, which was parked, may go on", m.name, v.begun[0].Key, m.returns[0].Key)
	}
	var next *lived
	for _, l := range v.live {
		if len(m.returns) == 0 && !l.running && v.complete(m, l) && (next == nil || before(l, next)) {
			next = l
		}
	}
	if next != nil && slotsOf(next.Class.Class) <= free && !v.overtakes(m, next, free) {
		return fmt.Errorf("machine %d has %d free slots and does not run %v (%s)", m.name, free, next.Key, v.describe(m))
	}
	for _, l := range v.begun {
		if next != nil && before(next, l) {
			return fmt.Errorf("machine %d runs %v before %v", m.name, l.Key, next.Key)
		}
	}
	v.begun = v.begun[:0]
	for _, l := range v.live {
		l.stays = true
		l.note(m)
		// What was freed or lost while it waited for slots is missed at its turn.
		if !l.running && !v.complete(m, l) && !v.fetching(m, l) && free == m.slots {
			return fmt.Errorf("machine %d waits for inputs of %v and fetches none", m.name, l.Key)
		}
	}
	return v.idleFetches(m, w)
}

// idleFetches objects to inputs that are waited for and could be fetched now.
func (v *watch) idleFetches(m *machine, w *World) error {
	bytes := uint64(0)
	for _, f := range m.flying {
		bytes += f.Size
	}
	if len(v.keeps) > 0 {
		return nil // a Copy may be in front of them
	}
	var missing *local.Input
	for _, l := range v.live {
		for i := range l.Inputs {
			in := &l.Inputs[i]
			if _, ok := m.store[in.Key]; l.running || m.mislaid[in.Key] || l.here[in.Key] || l.led[in.Key] || in.IsInline() || ok || v.haunted(m, l) {
				continue
			}
			if slices.ContainsFunc(m.flying, func(f *flight) bool { return f.Key == in.Key }) {
				continue
			}
			if missing == nil || in.Size > missing.Size {
				missing = in
			}
		}
	}
	if missing != nil && len(m.flying) < m.fetches(w) && bytes+missing.Size <= maxFetchBytes {
		return fmt.Errorf("machine %d fetches %d results of %d bytes, and not %v of %d", m.name, len(m.flying), bytes, missing.Key, missing.Size)
	}
	return nil
}

// wants reports whether an attempt waits for a result, or a Copy asks for it.
func (v *watch) wants(k local.Key) bool {
	_, asked := v.keeps[k]
	return asked || v.waits(k, func(*lived) bool { return true })
}

// waits reports whether an attempt waits for a result, of those for which which holds.
func (v *watch) waits(k local.Key, which func(*lived) bool) bool {
	for _, l := range v.live {
		if !l.running && which(l) && slices.ContainsFunc(l.Inputs, func(in local.Input) bool { return in.Key == k }) {
			return true
		}
	}
	return false
}

// overtakes reports whether an attempt would pass one that waits for several slots,
// and of which it is not known yet that an input was freed meanwhile.
func (v *watch) overtakes(m *machine, next *lived, free int) bool {
	for _, l := range v.live {
		if !l.running && before(l, next) && slotsOf(l.Class.Class) > free && !v.complete(m, l) {
			return true
		}
	}
	return false
}

// complete reports whether an attempt could run: its inputs are there, and no ghost of
// its number executes.
func (v *watch) complete(m *machine, l *lived) bool {
	for i := range l.Inputs {
		in := &l.Inputs[i]
		if _, ok := m.store[in.Key]; !in.IsInline() && !ok && !m.mislaid[in.Key] {
			return false
		}
	}
	return !v.haunted(m, l)
}

func (v *watch) haunted(m *machine, l *lived) bool {
	return slices.ContainsFunc(m.running, func(r *run) bool { return r.Key == l.Key })
}

// fetching reports whether anything is under way that an attempt may wait for.
func (v *watch) fetching(m *machine, l *lived) bool {
	return len(m.flying) > 0 || v.haunted(m, l) || len(l.led) > 0
}

func before(a, b *lived) bool {
	return cmp.Or(cmp.Compare(b.Class.Priority, a.Class.Priority), cmp.Compare(a.seq, b.seq)) < 0
}

func slotsOf(c *graph.Class) int { return max(1, int(c.Resources.Slots)) }

// rest reports what a machine must not have when all is over.
func (v *watch) rest(m *machine) error {
	active, queued := m.core.Counts()
	held := m.core.AppendHeld(nil)
	switch {
	case len(v.live)+len(m.running)+len(m.flying)+active+queued > 0:
		return fmt.Errorf("machine %d is not idle: %d attempts, %d run, %d fetches; its core says %d and %d",
			m.name, len(v.live), len(m.running), len(m.flying), active, queued)
	case len(held) != len(m.store)+len(m.mislaid):
		return fmt.Errorf("machine %d stores %d results, its core says %d", m.name, len(m.store), len(held))
	}
	for _, h := range held {
		if s, ok := m.store[h.Key]; (!ok || s.size != h.Size) && !m.mislaid[h.Key] {
			return fmt.Errorf("machine %d holds %v of %d bytes, its store has %d (there: %v)", m.name, h.Key, h.Size, s.size, ok)
		}
	}
	return nil
}

func (v *watch) describe(m *machine) string {
	var s strings.Builder
	for _, r := range m.running {
		fmt.Fprintf(&s, " runs %v (ghost: %v)", r.Key, r.ghost)
	}
	for _, l := range v.live {
		fmt.Fprintf(&s, " has %v (priority %d, slots %d, number %d, runs: %v)", l.Key, l.Class.Priority, slotsOf(l.Class.Class), l.seq, l.running)
	}
	return s.String()
}

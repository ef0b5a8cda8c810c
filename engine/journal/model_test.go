package journal_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/memstore"
)

var (
	schedules = flag.Int("schedules", 3000, "how many schedules TestModel plays")
	from      = flag.Uint64("from", 1, "the seed of the first")
)

// TestModel plays epochs against a store and an adversary: who decides, for each call of each
// process, when it works or fails, whether it does what it is for although it fails, and when; which
// process is killed; and which one is left to write although a later one has begun. Each schedule comes from a
// seed, in virtual time, and is the same when it is played again.
//
//   - Told safe by any epoch, at any time: in the replay of every later one, once, in order.
//   - A replay is a prefix of what one earlier epoch had replayed and appended.
//   - What one epoch has replayed, each later one does.
//   - With a snapshot, which is taken bit by bit while records go on, all records are there that it may know of.
//   - Nothing is told safe after OnFenced, nor anything that was not appended.
//   - No replay fails but for a later epoch.
//   - When the store is well again, the last epoch gets all it has appended safe, and says that it is well.
//   - After a last snapshot nothing is left but markers, the snapshot, and what came since.
func TestModel(t *testing.T) {
	var sum tally
	for seed := *from; seed < *from+uint64(*schedules); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGame(t, seed)
				g.play()
				sum.add(g.tally)
			})
		})
		if t.Failed() {
			t.Fatalf("again: go test ./engine/journal -run TestModel -schedules 1 -from %d", seed)
		}
	}
	t.Logf("%+v", sum)
	if *schedules >= 1000 && (sum.Replays == 0 || sum.Fenced == 0 || sum.Snapshots == 0 || sum.Kills == 0 || sum.Late == 0 || sum.Zombies == 0) {
		t.Errorf("the adversary is too kind: %+v", sum)
	}
}

// tally counts what happened.
type tally struct {
	Calls, Failed, Late, Kills, Replays, Records, Told, Fenced, Zombies, Snapshots, Away int
}

func (a *tally) add(b tally) {
	a.Calls += b.Calls
	a.Failed += b.Failed
	a.Late += b.Late
	a.Kills += b.Kills
	a.Replays += b.Replays
	a.Records += b.Records
	a.Told += b.Told
	a.Fenced += b.Fenced
	a.Zombies += b.Zombies
	a.Snapshots += b.Snapshots
	a.Away += b.Away
}

// game is one schedule.
type game struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	dir     *memstore.Dir
	players []*player
	epoch   uint64
	nonce   uint32
	calls   chan *pending // of all players
	mu      sync.Mutex    // guards what callbacks change: the tally, and of players heard
	waiting []*pending
	badness int // per cent of calls that fail
	habits  habits
	tally
}

// habits differ from game to game, so that what is rare in most is common in some.
type habits struct {
	answer, append, snapshot, enter, settle, stop, sleep int    // how often, in proportion
	commit                                               int    // one in so many appends does not ask for a flush
	block                                                int    // bytes
	slow                                                 string // files that are: their names begin so
}

// player is a process.
type player struct {
	g        *game
	epoch    uint64
	proc     *memstore.Process
	ctx      context.Context
	cancel   context.CancelFunc
	j        *journal.Journal // once it is running
	ready    chan *journal.Journal
	replay   []string // what it found
	replayed bool
	content  []string // the replay, and what it appended
	offset   uint64   // position of the first appended
	heard    heard
	snap     *journal.Snapshot // being recorded
	snapAt   int               // of content, what it stands for
	snapped  int               // of that, what was added
	dead     bool
	stopped  bool // its calls get no answer, as if by SIGSTOP
}

// heard is what a process's callbacks were told.
type heard struct {
	told   uint64
	fenced bool
	away   bool
	closed bool // nobody listens
}

// now returns what the process was told by now.
func (p *player) now() heard {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	return p.heard
}

// pending is a call that waits for its verdict.
type pending struct {
	memstore.Call
	p       *player
	ctx     context.Context
	verdict chan memstore.Verdict
}

var errFault = errors.New("a fault of the store")

func newGame(t *testing.T, seed uint64) *game {
	rnd := rand.New(rand.NewPCG(seed, 1))
	pick := func(n ...int) int { return n[rnd.IntN(len(n))] }
	g := &game{
		t: t, seed: seed, rnd: rnd, dir: memstore.New(seed, pick(0, 0, 1) == 1), calls: make(chan *pending, 1000), badness: pick(0, 5, 30),
		habits: habits{
			answer: pick(30, 60, 120), append: pick(5, 20, 50), snapshot: pick(1, 4, 20, 40), enter: pick(2, 2, 6),
			settle: pick(0, 5), stop: pick(0, 2, 6), sleep: pick(1, 6), commit: pick(1, 2, 4, 100), block: pick(40, 100, 400),
			slow: []string{"-", "segment", "snapshot"}[pick(0, 0, 1, 2)],
		},
	}
	switch rnd.IntN(10) { // two narrow corners
	case 0: // a snapshot is written before the records that came meanwhile are safe
		g.badness, g.habits = 0, habits{answer: 120, append: 10, snapshot: 20, enter: 3, commit: 2, block: 400, slow: "segment"}
	case 1: // a snapshot ends anywhere
		g.badness, g.dir = 0, memstore.New(seed, true)
		g.habits = habits{answer: 60, append: 10, snapshot: 20, enter: 6, commit: 1, block: 40, slow: "snapshot"}
	}
	return g
}

func (g *game) fail(format string, args ...any) {
	g.t.Helper()
	g.t.Errorf("schedule %d: %s", g.seed, fmt.Sprintf(format, args...))
}

func (g *game) play() {
	defer g.end()
	g.enter()
	for range 150 + g.rnd.IntN(250) {
		g.step()
	}
	g.heal()
}

// step does one thing.
func (g *game) step() {
	g.gather()
	h := g.habits
	moves := []struct {
		weight int
		do     func()
	}{
		{h.answer, func() { g.answerSome() }},
		{h.append, func() { g.some((*player).append) }},
		{h.snapshot, func() { g.some(func(p *player) { p.snapshot() }) }},
		{h.settle, func() {
			if g.dir.Settle() {
				g.Late++
			}
		}},
		{h.stop, func() { g.some(func(p *player) { p.stopped = !p.stopped }) }},
		{h.sleep, func() { time.Sleep(time.Duration(g.rnd.IntN(1<<g.rnd.IntN(15))) * time.Millisecond) }},
		{2, func() { g.badness = []int{0, 5, 30, 90}[g.rnd.IntN(4)] }},
		{h.enter, func() {
			if len(g.players) < 7 {
				g.enter()
			}
		}},
		{1, func() { g.some((*player).kill) }},
	}
	sum := 0
	for _, m := range moves {
		sum += m.weight
	}
	n := g.rnd.IntN(sum)
	for _, m := range moves {
		if n -= m.weight; n < 0 {
			m.do()
			return
		}
	}
}

// gather lets all processes come to rest, and takes their calls, in an order of its own.
func (g *game) gather() {
	synctest.Wait()
	for len(g.calls) > 0 {
		g.waiting = append(g.waiting, <-g.calls)
	}
	g.waiting = slices.DeleteFunc(g.waiting, func(c *pending) bool { return c.ctx.Err() != nil })
	slices.SortStableFunc(g.waiting, func(a, b *pending) int {
		return strings.Compare(fmt.Sprint(a.p.epoch, a.Call), fmt.Sprint(b.p.epoch, b.Call))
	})
	for _, p := range g.players {
		p.take()
	}
}

// take looks whether the process runs by now.
func (p *player) take() {
	select {
	case p.j = <-p.ready:
	default:
	}
}

// answerSome decides on one of the calls that wait, of a process that is not stopped.
func (g *game) answerSome() bool {
	var some []*pending
	for _, c := range g.waiting {
		if !c.p.stopped {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return false
	}
	if c := some[g.rnd.IntN(len(some))]; !strings.HasPrefix(c.Name, g.habits.slow) || g.rnd.IntN(8) == 0 {
		g.answer(c)
	}
	return true
}

// answer decides on a call that waits.
func (g *game) answer(c *pending) {
	g.waiting = slices.DeleteFunc(g.waiting, func(o *pending) bool { return o == c })
	g.Calls++
	var v memstore.Verdict
	if g.rnd.IntN(100) < g.badness {
		v.Err = errFault
		v.Effect = memstore.Effect(g.rnd.IntN(3))
		g.Failed++
	}
	c.verdict <- v
}

// some does something with one of the processes that live.
func (g *game) some(f func(*player)) {
	var running []*player
	for _, p := range g.players {
		if !p.dead {
			running = append(running, p)
		}
	}
	if len(running) > 0 {
		f(running[g.rnd.IntN(len(running))])
	}
}

// enter begins an epoch. Whoever runs is left, or killed before.
func (g *game) enter() {
	for _, p := range g.players {
		if !p.dead && g.rnd.IntN(2) == 0 {
			p.kill()
		} else if !p.dead {
			g.Zombies++
		}
	}
	g.epoch += 1 + uint64(g.rnd.IntN(2))
	p := &player{g: g, epoch: g.epoch, ready: make(chan *journal.Journal, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.proc = g.dir.Process(p.hook)
	g.players = append(g.players, p)
	go p.begin()
}

// hook waits for a verdict on a call.
func (p *player) hook(ctx context.Context, call memstore.Call) memstore.Verdict {
	c := &pending{call, p, ctx, make(chan memstore.Verdict, 1)}
	p.g.calls <- c
	select {
	case v := <-c.verdict:
		return v
	case <-ctx.Done(): // it may have been heard of all the same
		return memstore.Verdict{Effect: memstore.Later, Err: ctx.Err()}
	}
}

// number counts.
func (g *game) number() uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nonce++
	return g.nonce
}

func (p *player) begin() {
	j, err := journal.Open(p.ctx, journal.Options{
		Store: p.proc, Epoch: p.epoch, BlockBytes: p.g.habits.block,
		OnFlushed: p.flushed, OnFenced: p.onFenced, OnState: p.onState,
	}.Still(p.g.number))
	var found []string
	must := 0
	if err == nil {
		err = j.Replay(p.ctx, func(rec []byte) error {
			content, count, last := strings.Cut(string(rec), needs)
			if last {
				must, _ = strconv.Atoi(count)
			}
			found = append(found, content)
			return nil
		})
	}
	switch {
	case p.ctx.Err() != nil:
		return
	case errors.As(err, new(*journal.FencedError)):
		p.g.mu.Lock()
		p.g.Fenced++
		p.g.mu.Unlock()
		return
	case err != nil:
		p.g.fail("epoch %d: %v", p.epoch, err)
		return
	}
	if len(found) < must {
		p.g.fail("epoch %d found a snapshot that may know of %d records, and only %d of them", p.epoch, must, len(found))
	}
	p.g.mu.Lock()
	p.g.Replays++
	p.replay, p.replayed = found, true
	p.content, p.offset, p.heard.told = slices.Clone(found), j.Appended(), j.Appended()
	p.g.mu.Unlock()
	if err := j.Start(); err != nil {
		p.g.fail("%v", err)
	}
	p.ready <- j
}

func (p *player) flushed(pos uint64) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	appended := p.offset + uint64(len(p.content)-len(p.replay))
	switch h := &p.heard; {
	case h.closed:
	case h.fenced:
		p.g.fail("epoch %d was fenced, and told %d safe", p.epoch, pos)
	case pos < h.told || pos > appended:
		p.g.fail("epoch %d told %d safe, after %d of %d", p.epoch, pos, h.told, appended)
	default:
		h.told = pos
		p.g.Told++
	}
}

func (p *player) onFenced(err error) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if p.heard.fenced {
		p.g.fail("epoch %d was fenced twice: %v", p.epoch, err)
	}
	p.heard.fenced = true
	p.g.Fenced++
}

func (p *player) onState(err error) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if (err != nil) == p.heard.away {
		p.g.fail("epoch %d: the state is told twice: %v", p.epoch, err)
	}
	p.heard.away = err != nil
	p.g.Away++
}

// append adds a few records, and mostly commits.
func (p *player) append() {
	if p.j == nil {
		return
	}
	for range 1 + p.g.rnd.IntN(3) {
		rec := fmt.Sprintf("%d.%d%s", p.epoch, len(p.content), strings.Repeat("-", p.g.rnd.IntN(30)))
		p.g.mu.Lock()
		p.content = append(p.content, rec)
		p.g.mu.Unlock()
		p.j.Append([]byte(rec))
		p.g.Records++
	}
	if p.g.rnd.IntN(p.g.habits.commit) > 0 || p.g.habits.commit == 1 {
		p.j.Commit()
	}
}

// snapshot begins to record all that there is, or goes on with it.
func (p *player) snapshot() bool {
	if p.j == nil || p.now().fenced {
		return false
	}
	if p.snap == nil {
		if p.snap = p.j.Snapshot(); p.snap == nil {
			return false
		}
		p.snapAt, p.snapped = len(p.content), 0
	}
	for range 1 + p.g.rnd.IntN(4) {
		if p.snapped < p.snapAt {
			rec := p.content[p.snapped]
			if p.snapped++; p.snapped == p.snapAt {
				rec += fmt.Sprint(needs, len(p.content))
			}
			p.snap.Add([]byte(rec))
		}
		if p.snapped == p.snapAt {
			p.snap.End()
			p.snap = nil
			p.g.Snapshots++
			return true
		}
	}
	if p.snap.Over() {
		p.snap = nil
	}
	return false
}

// needs is how the last record of a snapshot goes on, with the number of records that must
// be there if it counts.
const needs = " needs "

func (p *player) kill() {
	if p.dead {
		return
	}
	p.dead = true
	p.g.mu.Lock()
	p.heard.closed = true
	p.g.mu.Unlock()
	p.g.Kills++
	p.proc.Kill()
	p.cancel()
	synctest.Wait()
	p.take()
	if p.j != nil {
		_ = p.j.Close(p.ctx)
	}
}

// safe is what the process has told to be safe.
func (p *player) safe() []string { return p.content[:len(p.replay)+int(p.now().told-p.offset)] }

// heal lets all calls work. Then the epoch that is the last one gets all safe, and one more follows, which
// finds it; and the whole schedule is checked.
func (g *game) heal() {
	g.badness = 0
	for _, p := range g.players {
		p.stopped = false
	}
	if last := g.last(); !last.dead {
		g.until("the last epoch runs", func() bool { return last.j != nil || g.t.Failed() })
		g.flushes(last)
	}
	g.enter()
	last := g.last()
	g.until("one more epoch runs", func() bool { return last.j != nil })
	if g.t.Failed() {
		return
	}
	g.flushes(last)
	g.until("there is a snapshot", func() bool { return last.snapshot() })
	g.flushes(last)
	g.until("all is tidy", func() bool { return g.tidy(last.epoch) })
	for _, p := range g.players {
		if p != last {
			p.kill()
		}
	}
	if err := g.closing(last); err != nil {
		g.fail("close: %v", err)
	}
	g.check()
}

func (g *game) last() *player { return g.players[len(g.players)-1] }

// flushes lets a process append and get all safe.
func (g *game) flushes(p *player) {
	if g.t.Failed() {
		return
	}
	p.append()
	p.j.Commit()
	g.until("all is safe", func() bool { return p.now().told == p.j.Appended() && !p.now().away })
}

// closing closes the last journal while calls go on.
func (g *game) closing(p *player) (err error) {
	done := make(chan error, 1)
	go func() { done <- p.j.Close(p.ctx) }()
	g.until("it is closed", func() bool { return len(done) > 0 })
	return <-done
}

// until answers calls until a condition holds.
func (g *game) until(what string, cond func() bool) {
	for range 20_000 { // a large snapshot in small blocks takes many calls
		g.gather()
		if cond() || g.t.Failed() {
			return
		}
		if !g.answerSome() {
			time.Sleep(time.Second)
		}
	}
	g.fail("it does not come to be that %s; there is %q", what, g.dir.Files())
}

// tidy says that nothing is left that nobody needs: of the last epoch, a snapshot and the segment that follows.
func (g *game) tidy(epoch uint64) bool {
	snapshots, segments := 0, 0
	for _, name := range g.dir.Files() {
		kind, rest, _ := strings.Cut(name, "-")
		if kind != "epoch" && !strings.HasPrefix(rest, fmt.Sprintf("%020d", epoch)) {
			return false
		}
		switch kind {
		case "snapshot":
			snapshots++
		case "segment":
			segments++
		}
	}
	return snapshots == 1 && segments == 1
}

// check compares what each epoch has found with what earlier ones have told and found.
func (g *game) check() {
	for i, p := range g.players {
		if !p.replayed {
			continue
		}
		from := len(p.replay) == 0
		for _, q := range g.players[:i] {
			if !q.replayed {
				continue
			}
			if !prefix(q.safe(), p.replay) {
				g.fail("epoch %d told safe\n%q, and epoch %d found\n%q", q.epoch, q.safe(), p.epoch, p.replay)
			}
			if !prefix(q.replay, p.replay) {
				g.fail("epoch %d found\n%q, and epoch %d\n%q", q.epoch, q.replay, p.epoch, p.replay)
			}
			from = from || prefix(p.replay, q.content)
		}
		if !from {
			g.fail("epoch %d found what nobody has appended so: %q", p.epoch, p.replay)
		}
	}
}

func prefix(a, b []string) bool { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }

// end leaves nothing behind.
func (g *game) end() {
	for _, p := range g.players {
		p.kill()
	}
}

package livetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
)

// user is a person with a client and one job, who knows what must come of it.
type user struct {
	w    *world
	name string
	rnd  *rand.Rand
	log  *slog.Logger

	c     *client.Client
	dead  sync.WaitGroup // clients that have gone without a word
	job   *client.Job
	named bool
	class client.Class
	tasks []*task // by index
	actor *owner  // nil: it has none

	mu    sync.Mutex
	told  map[ear]int // how often it heard of its task
	lives int         // clients that have gone
	dies  bool        // the client is to go
}

// task is what the oracle knows of one.
type task struct {
	work
	deps   []uint32
	value  uint64
	bad    bool // it or one that it needs fails always
	spoilt bool // it or one that it needs was cancelled: it may end as anything
	free   bool // let go
	actor  bool // it is the user's actor: it does not end
	life   int  // of the client that submitted it
}

const retries = 3

// ear is what one client told of one task.
type ear struct {
	life int
	task uint32
}

// sink implements client.Sink for one client.
type sink struct {
	*user
	life int
}

func (s sink) Ended(tags []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tags {
		s.told[ear{s.life, t}]++
	}
}

// errGone is the end of a user whose session was lost with its unnamed job, which may be.
var errGone = errors.New("the job went with its session")

// run is the user's whole life.
func (u *user) run(ctx context.Context) error {
	err := u.begin(ctx)
	if u.c == nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err == nil {
		err = u.play(ctx)
	}
	if err == nil {
		err = u.judge(ctx)
	}
	if err == nil {
		err = u.letGo(ctx)
	}
	if !u.named && (errors.Is(err, client.ErrLost) || errors.Is(err, client.ErrNotFound)) && u.w.forgotten(u.host()) {
		err = errGone
	}
	if cerr := u.c.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close: %w", cerr)
	}
	u.dead.Wait()
	if err == nil || errors.Is(err, errGone) {
		return errors.Join(u.judgeSink(), err)
	}
	return err
}

// host is where the user's client runs: each on one of its own.
func (u *user) host() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fmt.Sprintf("%s-%d", u.name, u.lives)
}

func (u *user) life() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lives
}

func (u *user) begin(ctx context.Context) (err error) {
	if u.c, err = u.w.client(u.name, u.host()); err != nil {
		return err
	}
	if u.named {
		u.job, err = u.c.Job(ctx, u.name)
	} else {
		u.job, err = u.c.Unnamed(ctx)
	}
	if err != nil {
		return err
	}
	u.declare()
	if u.rnd.IntN(2) == 0 {
		return u.startActor(ctx)
	}
	return nil
}

func (u *user) declare() {
	u.class = u.job.Class(&graph.Class{Name: "work", Kind: graph.KindGo, Retries: retries, Deaths: 1000, Idempotent: u.rnd.IntN(2) == 0})
}

// die has the client go as kill -9 does. A named job is found again by another one, which
// has what was submitted until then, and lets go again of what the first one let go of.
func (u *user) die(ctx context.Context) (err error) {
	host, old := u.host(), u.c
	u.w.net.Kill(host)
	u.w.net.Separate(host)
	u.log.Info("died")
	u.dead.Go(func() { old.Close() }) //nolint:errcheck // it cannot say anything
	u.mu.Lock()
	u.lives, u.dies = u.lives+1, false
	u.mu.Unlock()
	if u.actor != nil {
		for _, a := range u.actor.asked {
			a.retired = true
		}
	}
	if u.c, err = u.w.client(u.name, u.host()); err != nil {
		return err
	}
	if !u.named {
		return errGone
	}
	if u.job, err = u.c.AttachJob(ctx, u.name); err != nil {
		return fmt.Errorf("find it again: %w", err)
	}
	info, err := u.job.Info(ctx)
	if err != nil {
		return err
	}
	if info.Tasks > len(u.tasks) {
		return fmt.Errorf("the job has %d tasks, %d were submitted", info.Tasks, len(u.tasks))
	}
	u.tasks = u.tasks[:info.Tasks]
	u.declare()
	for i, t := range u.tasks {
		if u.job.Hold(uint32(i)); t.free {
			u.job.Release(uint32(i))
		}
	}
	return nil
}

// dying reports whether it is time to.
func (u *user) dying() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dies
}

func (u *user) play(ctx context.Context) (err error) {
	for range 10 + u.rnd.IntN(20) {
		if u.dying() {
			if err := u.die(ctx); err != nil {
				return err
			}
		}
		switch u.rnd.IntN(10) {
		case 0, 1, 2, 3:
			err = u.submit(ctx)
		case 4:
			err = u.release()
		case 5:
			err = u.cancel(ctx)
		case 6:
			err = u.look(ctx)
		case 7:
			err = u.ask()
		default:
			time.Sleep(time.Duration(u.rnd.ExpFloat64() * float64(time.Second)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pick returns a task that is held, or false.
func (u *user) pick() (uint32, bool) {
	for range 10 {
		if len(u.tasks) == 0 {
			break
		}
		if i := u.rnd.IntN(len(u.tasks)); !u.tasks[i].free && !u.tasks[i].actor {
			return uint32(i), true
		}
	}
	return 0, false
}

func (u *user) submit(ctx context.Context) error {
	for range 1 + u.rnd.IntN(30) {
		t := &task{life: u.life(), work: work{takes: time.Duration(u.rnd.ExpFloat64() * float64(300*time.Millisecond)), size: 8}}
		switch u.rnd.IntN(10) {
		case 0, 1:
			t.size = 8 * (1 + u.rnd.Uint32N(5000)) // some travel between workers, some spill
		case 2:
			t.fails = uint16(u.rnd.IntN(3))
		case 3:
			if u.rnd.IntN(4) == 0 {
				t.fails, t.bad = always, true
			}
		}
		var inputs []uint64
		var deps []graph.TaskID
		for range u.rnd.IntN(4) {
			if i, ok := u.pick(); ok {
				d := u.tasks[i]
				t.deps, deps = append(t.deps, i), append(deps, graph.TaskID{Job: u.job.ID(), Index: i})
				inputs = append(inputs, d.value)
				t.bad, t.spoilt = t.bad || d.bad, t.spoilt || d.spoilt
			}
		}
		index := uint32(len(u.tasks))
		t.value = valueOf(index, inputs...)
		got, err := u.job.Submit(ctx, &client.Task{Class: u.class, Payload: t.payload(), Deps: deps, Sink: sink{u, t.life}, Tag: index})
		if err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		if got != index {
			return fmt.Errorf("task %d became %d", index, got)
		}
		u.tasks = append(u.tasks, t)
	}
	return nil
}

func (u *user) release() error {
	for range 1 + u.rnd.IntN(5) {
		if i, ok := u.pick(); ok {
			u.tasks[i].free = true
			u.job.Release(i)
		}
	}
	return nil
}

func (u *user) cancel(ctx context.Context) error {
	i, ok := u.pick()
	if !ok {
		return nil
	}
	u.spoil(i)
	if err := u.job.Cancel(ctx, i); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	return nil
}

// spoil marks a task that is cancelled and all that need it.
func (u *user) spoil(i uint32) {
	u.tasks[i].spoilt = true
	for _, t := range u.tasks[i+1:] {
		for _, d := range t.deps {
			t.spoilt = t.spoilt || u.tasks[d].spoilt
		}
	}
}

// look waits for a task's result.
func (u *user) look(ctx context.Context) error {
	i, ok := u.pick()
	if !ok {
		return nil
	}
	return u.check(ctx, i)
}

// check waits for a result and judges it.
func (u *user) check(ctx context.Context, i uint32) error {
	t := u.tasks[i]
	data, _, err := u.job.Result(ctx, i)
	f, failed := errors.AsType[*graph.Failure](err)
	switch {
	case err == nil && t.bad:
		return fmt.Errorf("task %d has a result and must fail", i)
	case err == nil:
		if want := resultOf(t.value, t.size); !bytes.Equal(data, want) {
			return fmt.Errorf("task %d has %x, %d bytes; want %x, %d bytes", i, data[:min(8, len(data))], len(data), want[:8], len(want))
		}
		return nil
	case !failed:
		return fmt.Errorf("task %d: %w", i, err)
	case t.spoilt || t.bad && (f.Kind == graph.FailUser || f.Kind == graph.FailUpstream):
		return nil
	}
	return fmt.Errorf("task %d failed: kind %v, %w", i, f.Kind, err)
}

// judge waits for all that is held.
func (u *user) judge(ctx context.Context) error {
	for i, t := range u.tasks {
		if !t.free && !t.actor {
			if err := u.check(ctx, uint32(i)); err != nil {
				return err
			}
		}
	}
	return u.judgeActor(ctx)
}

// letGo releases what is held; a named job is found again by another client first,
// which knows the results as well.
func (u *user) letGo(ctx context.Context) error {
	if u.named && u.rnd.IntN(2) == 0 {
		if err := u.again(ctx); err != nil {
			return fmt.Errorf("another client: %w", err)
		}
	}
	if err := u.stopActor(ctx); err != nil {
		return fmt.Errorf("stop the actor: %w", err)
	}
	for i, t := range u.tasks {
		if !t.free {
			u.job.Release(uint32(i))
		}
	}
	if err := u.job.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if rows, err := u.job.Tasks(ctx, 0, 1, "done"); err != nil || len(rows) > 0 {
		return fmt.Errorf("all is let go of, and %v is held (%v)", rows, err)
	}
	return u.job.Close(ctx)
}

func (u *user) again(ctx context.Context) error {
	c, err := u.w.client(u.name, u.host())
	if err != nil {
		return err
	}
	defer c.Close()
	job, err := c.AttachJob(ctx, u.name)
	if err != nil {
		return err
	}
	first := u.job
	u.job = job
	defer func() { u.job = first }()
	for i, t := range u.tasks {
		if !t.free && !t.actor {
			job.Hold(uint32(i))
			if err := u.check(ctx, uint32(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeSink: of each task that was submitted the sink heard once, be it of its client's end.
func (u *user) judgeSink() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, t := range u.tasks {
		if t.actor {
			continue // it has no sink
		}
		if n := u.told[ear{u.tasks[i].life, uint32(i)}]; n != 1 {
			return fmt.Errorf("of task %d the sink was told %d times", i, n)
		}
	}
	return nil
}

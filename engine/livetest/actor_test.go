package livetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// asking is what the actor of a user is asked for.
type asking struct {
	Key   string // of this call alone
	Life  string // of the client that calls
	Seq   int    // of those of that life
	Again bool   // it may be done twice
	Takes time.Duration
	Fails string // "", "error" or "panic"
}

// ledger is what actors have done, of all schedules: they run in this process.
var ledger = struct {
	mu   sync.Mutex
	done map[string]int // by key of the call
	made map[int]int    // lives of actors, by what they start from: their play
	last map[string]int // by attempt of the actor and life of the client: the highest Seq
	bad  error
}{done: map[string]int{}, made: map[int]int{}, last: map[string]int{}}

// plays counts schedules, so that keys of different ones differ.
var plays atomic.Uint64

// enter notes that a call begins.
func (in *asking) enter(attempt string) {
	l := &ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[in.Key]++
	if in.Again {
		return
	}
	in.inOrder(attempt + " " + in.Life)
}

func (in *asking) inOrder(of string) {
	if last := ledger.last[of]; last >= in.Seq && ledger.bad == nil {
		ledger.bad = fmt.Errorf("call %s came after number %d of that client", in.Key, last)
	}
	ledger.last[of] = in.Seq
}

var actors = engine.DefineActor("actor", func(ctx context.Context, start int) (*int, error) {
	ledger.mu.Lock()
	ledger.made[start]++
	ledger.mu.Unlock()
	kept, ok, err := engine.Restored[int](ctx)
	if ok {
		start = kept
	}
	return &start, err
})

var _ = engine.DefineMethod(actors, "do", func(ctx context.Context, n *int, in asking) (string, error) {
	info, ok := engine.Info(ctx)
	if !ok {
		return "", errors.New("no info")
	}
	in.enter(fmt.Sprint(in.Life[:8], info.Task, info.Attempt, info.Worker))
	select {
	case <-time.After(in.Takes):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	switch in.Fails {
	case "error":
		return "", errMeant
	case "panic":
		panic(errMeant)
	}
	*n++
	if *n%4 == 0 {
		if err := engine.Checkpoint(ctx, *n); err != nil {
			return "", err
		}
	}
	return in.Key, nil
})

// owner is what a user knows of its actor.
type owner struct {
	index uint32 // of its task
	play  uint64
	seq   int
	asked []*asked
}

// start is what the actor counts from.
func (o *owner) start() int { return int(o.play) * 1_000_000 }

// asked is a call.
type asked struct {
	asking
	answer  *client.Asked
	back    context.CancelFunc // takes it back; nil: that was done
	retired bool               // its client has died
}

// startActor starts the user's actor, the first task of its job.
func (u *user) startActor(ctx context.Context) error {
	class := u.job.Class(&graph.Class{Name: "actor", Kind: graph.KindGo, Actor: true, Retries: 10_000, Deaths: 1000})
	of, err := codec.For[int]()
	if err != nil {
		return err
	}
	u.actor = &owner{index: uint32(len(u.tasks)), play: plays.Add(1)}
	payload, _, err := of.Append(nil, nil, u.actor.start())
	if err != nil {
		return err
	}
	if _, err := u.job.Submit(ctx, &client.Task{Class: class, Payload: payload}); err != nil {
		return err
	}
	u.tasks = append(u.tasks, &task{actor: true})
	return u.job.Flush(ctx)
}

// ask calls the actor some times, and does not wait.
func (u *user) ask() error {
	if u.actor == nil {
		return nil
	}
	for range 1 + u.rnd.IntN(12) {
		fails := ""
		switch u.rnd.IntN(12) {
		case 0:
			fails = "error"
		case 1:
			fails = "panic"
		}
		again := u.rnd.IntN(3) == 0 && fails != "panic"
		if _, err := u.askOnce(fails, again); err != nil {
			return err
		}
	}
	if i := u.rnd.IntN(2 * len(u.actor.asked)); i < len(u.actor.asked) {
		if a := u.actor.asked[i]; a.back != nil {
			a.back()
			a.back = nil
		}
	}
	return nil
}

func (u *user) askOnce(fails string, again bool) (*asked, error) {
	o := u.actor
	o.seq++
	life := fmt.Sprintf("%07d %s", o.play, u.host())
	a := &asked{asking: asking{
		Key: fmt.Sprint(life, " ", o.seq), Life: life, Seq: o.seq, Again: again, Fails: fails,
	}}
	if u.rnd.IntN(4) > 0 { // else it is so quick that others may be sent ahead
		a.Takes = time.Duration(u.rnd.ExpFloat64() * float64(60*time.Millisecond))
	}
	of, err := codec.For[asking]()
	if err != nil {
		return nil, err
	}
	payload, _, err := of.Append(nil, nil, a.asking)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.back = cancel
	a.answer = u.c.Ask(ctx, &client.ActorCall{
		Task: graph.TaskID{Job: u.job.ID(), Index: o.index}, Actor: "actor", Method: "do", Payload: payload, Idempotent: again,
	})
	o.asked = append(o.asked, a)
	return a, nil
}

// judgeActor waits for all answers: nobody waits for ever, what may not be done twice is
// not, and what is answered was done. At last the actor, whatever befell it, answers.
func (u *user) judgeActor(ctx context.Context) error {
	if u.actor == nil {
		return nil
	}
	if _, err := u.askOnce("", true); err != nil {
		return err
	}
	for _, a := range u.actor.asked {
		if err := a.judge(ctx); err != nil {
			return fmt.Errorf("call %s: %w", a.Key, err)
		}
	}
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	return ledger.bad
}

func (a *asked) judge(ctx context.Context) error {
	data, ended, err := a.answer.Wait(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ledger.mu.Lock()
	done := ledger.done[a.Key]
	ledger.mu.Unlock()
	f, failed := errors.AsType[*graph.Failure](err)
	switch {
	case done > 1 && !a.Again:
		return fmt.Errorf("done %d times", done)
	case errors.Is(err, client.ErrLost), a.retired, a.back == nil && errors.Is(err, context.Canceled):
		return nil
	case err == nil:
		if of, cerr := codec.For[string](); cerr != nil {
			return cerr
		} else if key, derr := of.Decode(data, false); derr != nil || key != a.Key {
			return fmt.Errorf("the answer is %q, %w", key, derr)
		}
		if a.Fails != "" {
			return errors.New("an answer, and it should fail")
		}
	case errors.Is(err, client.ErrInterrupted):
		if a.Again {
			return err
		}
		return nil
	case !failed, ended, a.Fails == "":
		return fmt.Errorf("(ended: %v) %w", ended, err)
	case (f.Stack != "") != (a.Fails == "panic"):
		return fmt.Errorf("stack %q, it should be %q", f.Stack, a.Fails)
	}
	if done == 0 {
		return errors.New("answered, and not done")
	}
	return nil
}

// stopActor ends the actor, and all who call it are told.
func (u *user) stopActor(ctx context.Context) error {
	if u.actor == nil {
		return nil
	}
	var last []*asked // some are under way then
	for range 3 {
		a, err := u.askOnce("", true)
		if err != nil {
			return err
		}
		last = append(last, a)
	}
	if err := u.job.Cancel(ctx, u.actor.index); err != nil {
		return err
	}
	for _, a := range last {
		if _, ended, err := a.answer.Wait(ctx); err != nil && !ended {
			return fmt.Errorf("call %s when it was stopped: %w", a.Key, err)
		}
	}
	a, err := u.askOnce("", true)
	if err != nil {
		return err
	}
	_, ended, err := a.answer.Wait(ctx)
	if f, ok := errors.AsType[*graph.Failure](err); !ok || !ended || f.Kind != graph.FailCancelled {
		return fmt.Errorf("an actor that was stopped answers %v (ended: %v)", err, ended)
	}
	return nil
}

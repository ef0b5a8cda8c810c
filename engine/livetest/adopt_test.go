package livetest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

var _ = engine.DefineMethod(actors, "count", func(_ context.Context, n *int, _ struct{}) (int, error) { return *n, nil })

// An actor lives on when the scheduler dies and when its worker's connection breaks: it is made
// once, every call is answered, done once, and in the state at last.
func TestActorsOutliveTheScheduler(t *testing.T) {
	for seed := *first; seed < *first+uint64(*schedules)/3+1; seed++ {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			log := &syncBuffer{}
			t.Cleanup(func() {
				if t.Failed() {
					file := filepath.Join(os.TempDir(), fmt.Sprintf("livetest-takeover-%d.log", seed))
					os.WriteFile(file, log.buf.Bytes(), 0o600)
					t.Logf("its log is %s; again: go test ./engine/livetest -run TestActorsOutlive -schedules 1 -seed %d", file, seed)
				}
			})
			synctest.Test(t, func(t *testing.T) { playTakeover(t, seed, log) })
		})
		if !ok {
			return
		}
	}
}

func playTakeover(t *testing.T, seed uint64, log *syncBuffer) {
	time.Sleep(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	w := newWorld(t, seed, time.Minute, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer w.end()
	for range 1 + w.rnd.IntN(3) {
		w.join()
	}
	u := &user{w: w, name: "u1", named: true, told: map[ear]int{}, rnd: rand.New(rand.NewPCG(seed, 10)), log: w.log.With("who", "u1")}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := u.beginActor(ctx); err != nil {
		t.Error(err)
		return
	}
	defer u.c.Close()
	quit, over := make(chan struct{}), make(chan struct{})
	go func() { defer close(over); w.disturb(u, quit) }()
	err := u.callOften()
	close(quit)
	<-over
	if err == nil {
		err = u.judgeLife(ctx)
	}
	if err == nil {
		err = u.job.Close(ctx)
	}
	if err != nil {
		t.Errorf("schedule %d: %v", seed, err)
	}
}

// beginActor starts the actor, and waits until it lives.
func (u *user) beginActor(ctx context.Context) (err error) {
	if u.c, err = u.w.client(u.name, u.host()); err != nil {
		return err
	}
	if u.job, err = u.c.Job(ctx, u.name); err != nil {
		return err
	}
	if err := u.startActor(ctx); err != nil {
		return err
	}
	_, err = u.count(ctx)
	return err
}

func (u *user) callOften() error {
	for range 20 + u.rnd.IntN(40) {
		for range 1 + u.rnd.IntN(10) {
			fails := ""
			if u.rnd.IntN(8) == 0 {
				fails = "error"
			}
			if _, err := u.askOnce(fails, u.rnd.IntN(3) == 0); err != nil {
				return err
			}
		}
		time.Sleep(time.Duration(u.rnd.ExpFloat64() * float64(time.Second)))
	}
	return nil
}

// disturb kills the scheduler and breaks connections, and harms no worker.
func (w *world) disturb(u *user, quit <-chan struct{}) {
	for {
		select {
		case <-time.After(time.Duration(w.rnd.ExpFloat64() * float64(4*time.Second))):
		case <-quit:
			return
		}
		switch w.rnd.IntN(4) {
		case 0:
			m := w.workers[w.rnd.IntN(len(w.workers))]
			w.net.Cut(m.name)
			w.note("cut", m.name)
		case 1:
			w.net.Cut(u.host())
			w.note("cut", u.host())
		default:
			w.note("killed", w.scheduler().host)
			w.crash()
		}
	}
}

// count asks the actor how much it has done.
func (u *user) count(ctx context.Context) (int, error) {
	in, err := codec.For[struct{}]()
	if err != nil {
		return 0, err
	}
	payload, _, err := in.Append(nil, nil, struct{}{})
	if err != nil {
		return 0, err
	}
	data, _, err := u.c.Ask(ctx, &client.ActorCall{
		Task: graph.TaskID{Job: u.job.ID(), Index: u.actor.index}, Actor: "actor", Method: "count", Payload: payload, Idempotent: true,
	}).Wait(ctx)
	if err != nil {
		return 0, err
	}
	out, err := codec.For[int]()
	if err != nil {
		return 0, err
	}
	return out.Decode(data, false)
}

// judgeLife says what is wrong with a life in which no worker was harmed.
func (u *user) judgeLife(ctx context.Context) error {
	want := u.actor.start()
	for _, a := range u.actor.asked {
		_, _, err := a.answer.Wait(ctx)
		ledger.mu.Lock()
		done := ledger.done[a.Key]
		ledger.mu.Unlock()
		switch {
		case (err != nil) != (a.Fails != ""):
			return fmt.Errorf("call %s: %w", a.Key, err)
		case done == 0 || done > 1 && !a.Again:
			return fmt.Errorf("call %s was done %d times", a.Key, done)
		}
		if err := a.judge(ctx); err != nil {
			return fmt.Errorf("call %s: %w", a.Key, err)
		}
		if a.Fails == "" {
			want += done
		}
	}
	got, err := u.count(ctx)
	if err != nil {
		return err
	}
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	switch made := ledger.made[u.actor.start()]; {
	case made != 1:
		return fmt.Errorf("the actor was made %d times", made)
	case got != want:
		return fmt.Errorf("the actor has done %d of %d calls", got-u.actor.start(), want-u.actor.start())
	}
	return ledger.bad
}

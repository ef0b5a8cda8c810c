package delegation

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/memory"
	"github.com/yarnd/yarnd/appmaster/wall"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Source gets new tokens.
type Source interface {
	Get(ctx context.Context) (Grant, error)
}

// Options of a Keeper. First is required.
type Options struct {
	First  Grant        // what the application master was started with
	Source Source       // nil: new ones come only if somebody pushes them
	Files  memory.Files // of the application, where new ones outlive an attempt; nil: they do not
	// Refused tells that a cluster no longer takes tokens: they were cancelled, or have ended before their time. nil: nobody
	// looks.
	Refused func(context.Context, *token.Credentials) bool
	// Shown is the one of them that Refused shows to the cluster, so that it tells nothing of the others; false: there is none.
	// nil: nobody knows, and containers are started with the newest.
	Shown func(*token.Credentials) (token.Token, bool)
	// Changed is told of each set of tokens that takes the place of another, one at a time.
	Changed func(Grant)
	// Start is told, one at a time, of what containers that are started from now on are to have (start.go). nil: they get the
	// newest.
	Start func(*token.Credentials)
	Log   *slog.Logger
}

// fileName is that of the newest tokens among the application's files.
const fileName = "delegated"

// Keeper has the newest tokens. It is safe for concurrent use.
type Keeper struct {
	opt  Options
	turn sync.Mutex // held while tokens are replaced

	saving sync.Mutex // held while they are saved, so that the newest are in the end

	mu  sync.Mutex
	now Grant
	got time.Time // zero: now is what the application master was started with
	bad error     // why no new ones could be got the last time
	// gone is that containers are not started with the first ones any more: they were refused, or are about to end.
	gone bool
	// present lives while now is what it is, and pass ends it: whoever waits by the end of the present ones reckons anew.
	present context.Context
	pass    context.CancelFunc
}

// NewKeeper returns a keeper of o.First.
func NewKeeper(o Options) *Keeper {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{opt: o, now: o.First}
	k.present, k.pass = context.WithCancel(context.Background())
	return k
}

// Now is the newest grant.
func (k *Keeper) Now() Grant {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Since is when the present ones were got; zero: they are what the application master was started with.
func (k *Keeper) Since() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.got
}

// Stale tells that there is a source, and that the present ones are not of it: they are those of the submission.
func (k *Keeper) Stale() bool { return k.opt.Source != nil && k.Since().IsZero() }

// Trouble is why no new ones, or not all, could be got the last time; nil: they could, or nobody tried.
func (k *Keeper) Trouble() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bad
}

// Renews tells that new ones come by themselves.
func (k *Keeper) Renews() bool { return k.opt.Source != nil }

// Begin replaces tokens that an attempt was started with, which may be old, before they are used: by the source's, or by
// those that an earlier attempt had in the end. An error tells that there are no new ones for now.
func (k *Keeper) Begin(ctx context.Context) error {
	var failed error
	if k.opt.Source != nil {
		if failed = k.refresh(ctx); failed == nil {
			k.prove(ctx)
			return nil
		}
	}
	return errors.Join(failed, k.restore(ctx))
}

// restore takes the tokens that an earlier attempt had in the end.
func (k *Keeper) restore(ctx context.Context) error {
	if k.opt.Files == nil {
		return nil
	}
	text, err := k.opt.Files.Read(ctx, fileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var saved Grant
	if err == nil {
		saved, err = decode(text)
	}
	if k.opt.Source != nil && k.better(ctx) {
		return err
	}
	// What is there was in force in the attempt before this one, so it is in this one, unless it has ended.
	if now := k.Now(); err == nil && !saved.ended(time.Now()) && (now.AtMost || saved.Until.After(now.Until)) {
		k.take(saved)
		k.prove(ctx)
	}
	return err
}

// better tells whether the present tokens, which YARN renews, are taken, and so are better than what a source gave, which nobody
// renews.
func (k *Keeper) better(ctx context.Context) bool {
	now := k.Now()
	return now.AtMost && !now.ended(time.Now()) && k.opt.Refused != nil && !k.opt.Refused(ctx, now.Tokens)
}

// Run gets new tokens in time, and looks whether the present ones are good, until ctx ends. Without a source, and where
// nobody looks, it does nothing.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	if k.opt.Refused != nil {
		wg.Go(func() { k.watch(ctx) })
	}
	if k.opt.Source != nil {
		k.renew(ctx)
	}
	wg.Wait()
}

// renew gets new tokens of the source in time.
func (k *Keeper) renew(ctx context.Context) {
	for ctx.Err() == nil {
		waiting, wait, over := k.next(ctx)
		for wall.Wait(waiting, time.Now().Add(wait), time.Now) {
			err := k.refresh(ctx)
			if err == nil {
				break
			}
			until := k.Now().Until
			wait = retryIn(time.Now(), until)
			if ctx.Err() == nil {
				k.opt.Log.Warn("cannot get new delegation tokens yet", "present ones end", until, "again in", wait.Round(time.Second), "err", err)
			}
		}
		over()
	}
}

// next is how long to wait before new tokens are got, and a context for that (while).
func (k *Keeper) next(ctx context.Context) (waiting context.Context, wait time.Duration, over context.CancelFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	wait = refreshIn(time.Now(), k.got, k.now.Until)
	switch {
	case k.now.Missing != nil:
		wait = min(wait, completeIn(time.Now(), k.now.Until))
	case k.bad != nil: // what there is now is an earlier attempt's, or was pushed
		wait = min(wait, retryIn(time.Now(), k.now.Until))
	}
	waiting, over = k.while(ctx)
	return waiting, wait, over
}

// while is a context for a wait by the end of the present tokens: it ends when there are others, or these have ended before
// their time. The caller has the lock, and calls over when he has waited.
func (k *Keeper) while(ctx context.Context) (waiting context.Context, over context.CancelFunc) {
	waiting, end := context.WithCancel(ctx)
	forget := context.AfterFunc(k.present, end)
	return waiting, func() { forget(); end() }
}

// change has g, got at a time, be what there is, and wakes who waits by the end of what there was. The caller has the turn and
// the lock.
func (k *Keeper) change(g Grant, got time.Time) {
	k.now, k.got = g, got
	k.pass()
	k.present, k.pass = context.WithCancel(context.Background())
}

func (k *Keeper) refresh(ctx context.Context) error {
	g, err := k.opt.Source.Get(ctx)
	k.mu.Lock()
	if k.bad = err; err == nil {
		k.bad = g.Missing
	}
	k.mu.Unlock()
	if err != nil {
		return err
	}
	k.take(g)
	if err := k.save(ctx); err != nil {
		k.opt.Log.Warn("the new delegation tokens are in use, and not saved: the next application master may begin with older ones", "err", err)
	}
	return nil
}

// save has what there is now be there for the next attempt.
func (k *Keeper) save(ctx context.Context) error {
	if k.opt.Files == nil {
		return nil
	}
	k.saving.Lock()
	defer k.saving.Unlock()
	return k.opt.Files.Publish(ctx, fileName, k.Now().encode())
}

// Push takes tokens that somebody brings. Those that nobody must have taken are not, where the present ones are known to be
// good for about as long, or longer: several sessions may come with some at the same time. When it has returned no error, those
// that are taken are saved for the next attempt; after another error than ErrNothing they are in use, and not saved.
func (k *Keeper) Push(ctx context.Context, g Grant, must bool) (taken bool, err error) {
	if len(g.Tokens.Tokens) == 0 {
		return false, ErrNothing
	}
	if now := k.Now(); !must && !now.AtMost && now.Until.After(g.Until.Add(-time.Until(g.Until)/8)) {
		return false, nil
	}
	k.take(g)
	k.prove(ctx) // they may have been brought because the first ones are refused
	return true, k.save(ctx)
}

// take has a grant's tokens take the place of those for the same services.
func (k *Keeper) take(g Grant) {
	k.turn.Lock()
	defer k.turn.Unlock()
	all := token.Credentials{}
	all.Merge(k.Now().Tokens)
	all.Merge(g.Tokens)
	g.Tokens = &all
	k.replace(g, time.Now())
}

// replace has g, got at a time, be what there is. The caller has the turn.
func (k *Keeper) replace(g Grant, got time.Time) {
	k.mu.Lock()
	k.change(g, got)
	k.mu.Unlock()
	k.opt.Log.Info("new delegation tokens", "until", g.Until, "set", short(g.Tokens))
	if k.opt.Changed != nil {
		k.opt.Changed(g)
	}
	if k.opt.Start != nil {
		k.opt.Start(k.forStart(g))
	}
}

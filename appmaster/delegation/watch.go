package delegation

import (
	"context"
	"time"

	"github.com/yarnd/yarnd/appmaster/wall"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// lookLeast is the shortest time after which the present tokens are looked at again.
const lookLeast = time.Minute

// lastLook is how long before a known end it is looked whether the first ones are to be used again: a cluster may take some seconds
// to answer, and who has the others asks every few seconds.
const lastLook = 4 * Soon

// lookIn is how long after now tokens are looked at: often enough that who asks for newer ones hears of it as soon as of a
// known end, and shortly before a known end.
func lookIn(now time.Time, g Grant) time.Duration {
	in := min(max(g.CheckIn(now), lookLeast), Unsure)
	if left := g.Until.Sub(now); !g.AtMost && !g.Until.IsZero() && left > 0 {
		return min(in, max(left-lastLook, Soon))
	}
	return in
}

// watch looks whether the present tokens are good, until ctx ends.
func (k *Keeper) watch(ctx context.Context) {
	for ctx.Err() == nil {
		waiting, at, over := k.nextLook(ctx)
		if wall.Wait(waiting, at, time.Now) {
			k.look(ctx)
		}
		over()
	}
}

// nextLook is when the present tokens are looked at, and a context for the wait until then (while).
func (k *Keeper) nextLook(ctx context.Context) (waiting context.Context, at time.Time, over context.CancelFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	waiting, over = k.while(ctx)
	return waiting, now.Add(lookIn(now, k.now)), over
}

// look is once of watch. Tokens that the cluster refuses have ended, whatever was thought of them: that is told, and those
// who have them ask often. Those that a person brought, or a source that gives no others now, and that end, make way for those
// of the submission where YARN has kept these good: what is good for a day must not shorten what was good for a week.
func (k *Keeper) look(ctx context.Context) {
	g := k.Now()
	ending := !g.Until.IsZero() && time.Until(g.Until) <= lastLook
	if ending && k.goBack(ctx, g) {
		return // in time, before anything else is asked
	}
	k.prove(ctx)
	if !g.ended(time.Now()) && k.opt.Refused(ctx, g.Tokens) {
		k.end(g)
		k.goBack(ctx, g)
	}
}

// end notes that tokens have been refused before their time, and has a source asked for others now.
func (k *Keeper) end(g Grant) {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now.Tokens != g.Tokens { // others came while they were looked at
		return
	}
	k.opt.Log.Error("the delegation tokens are refused: they have ended before their time", "were thought good until", g.Until)
	ended := k.now
	ended.Until = time.Now()
	k.change(ended, k.got)
}

// goBack has the first tokens take the place of g again, if they are good, and no others come. It tells whether they have.
func (k *Keeper) goBack(ctx context.Context, g Grant) bool {
	first := k.opt.First
	if g.AtMost || k.opt.Source != nil && k.Trouble() == nil || !first.AtMost || first.ended(time.Now()) || k.opt.Refused(ctx, first.Tokens) {
		return false
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.Now().Tokens != g.Tokens {
		return false
	}
	all := token.Credentials{}
	all.Merge(g.Tokens)
	all.Merge(first.Tokens)
	first.Tokens = &all
	k.replace(first, time.Time{})
	return true
}

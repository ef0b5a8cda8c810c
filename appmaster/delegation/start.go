package delegation

import (
	"context"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// A node manager keeps what its first container of an application was started with, and collects the logs by it in the
// end. The ResourceManager renews the tokens of the submission, up to their last day; nobody renews those of a source, or
// that a person brought, which end before. So containers are started with the first one for the application's file system
// while this is taken and lasts longer. Whether others take theirs nobody has asked: for them it is the newest, as it is for
// all of them in those that run, shortly after.

// forStart is what containers are started with where g is the newest.
func (k *Keeper) forStart(g Grant) *token.Credentials {
	first := k.opt.First
	k.mu.Lock()
	gone := k.gone
	k.mu.Unlock()
	if k.opt.Refused == nil || k.opt.Shown == nil || gone || k.nearEnd() || !first.Until.After(g.Until) {
		return g.Tokens
	}
	proved, ok := k.opt.Shown(first.Tokens)
	if !ok {
		return g.Tokens
	}
	one, all := &token.Credentials{}, &token.Credentials{}
	one.Add(proved.Service, proved)
	all.Merge(g.Tokens)
	all.Merge(one)
	return all
}

// nearEnd tells that one of the first tokens may end before they are looked at again.
func (k *Keeper) nearEnd() bool { return time.Until(k.opt.First.Until) <= Unsure+Soon }

// prove looks whether the first one for the application's file system is still taken, where containers may be started with them.
func (k *Keeper) prove(ctx context.Context) {
	if k.opt.Start == nil || k.opt.Refused == nil || k.Since().IsZero() { // zero: they are the present ones
		return
	}
	gone := k.nearEnd() || k.opt.Refused(ctx, k.opt.First.Tokens)
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	was := k.gone
	k.gone = gone
	k.mu.Unlock()
	if gone == was {
		return
	}
	k.opt.Log.Info("tokens that containers are started with", "of the submission", !gone)
	k.opt.Start(k.forStart(k.Now()))
}

// Package delegate gets the tokens by which others act in somebody's name at the services of a cluster with Kerberos.
package delegate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Sources are who gives tokens. Those who call them must have tickets: with a token one gets no other.
type Sources struct {
	FS     []hdfs.Delegation
	RM     *yarn.Client // nil: none of it
	RMName string       // its service in tokens
	// KMS is the client of a KMS that a file system names, for the keys of its encryption zones. nil: none is asked.
	KMS func(kms.Provider) (KMS, error)
	// Away hears of a KMS that gives or renews no token where the others' are wanted all the same. nil: its error is Get's.
	Away func(kms.Provider, error)

	skip map[string]bool // KMSs that have given none: asking them again would cost as much time again. nil: nobody asks again
}

// KMS gives tokens, as [kms.Client] does.
type KMS interface {
	DelegationToken(ctx context.Context, renewer string) (token.Token, error)
	RenewToken(ctx context.Context, t token.Token) (time.Time, error)
	CancelToken(ctx context.Context, t token.Token) error
}

// Add adds a file system, if it is one that gives tokens.
func (s *Sources) Add(f hdfs.FS) {
	if d, ok := f.(hdfs.Delegation); ok {
		s.FS = append(s.FS, d)
	}
}

// Tokens were got together.
type Tokens struct {
	Credentials token.Credentials
	got         []given
}

// given is a token, and who gave it.
type given struct {
	token.Token
	renew  func(context.Context, token.Token) (time.Time, error)
	cancel func(context.Context, token.Token) error
}

// Get gets a token of each source. The renewer, a principal, is who can make them last longer. After an error none is left.
func (s Sources) Get(ctx context.Context, renewer string) (*Tokens, error) {
	t := &Tokens{}
	err := s.get(ctx, renewer, t)
	if err != nil {
		t.Cancel(ctx) //nolint:errcheck // they end by themselves
		return nil, err
	}
	return t, nil
}

func (s Sources) get(ctx context.Context, renewer string, t *Tokens) error {
	var keys []kms.Provider
	for _, f := range s.FS {
		tok, ok, err := f.DelegationToken(ctx, renewer)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		t.add(given{tok, f.RenewToken, f.CancelToken})
		if keys, err = s.addKMS(ctx, f, keys); err != nil {
			return err
		}
	}
	for _, p := range keys {
		if s.skip[p.Service] {
			continue
		}
		if err := s.getKMS(ctx, p, renewer, t); err != nil {
			return err
		}
	}
	if s.RM == nil {
		return nil
	}
	tok, err := s.RM.DelegationToken(ctx, renewer)
	if err != nil {
		return err
	}
	tok.Kind, tok.Service = cmp.Or(tok.Kind, token.KindRM), s.RMName
	t.add(given{tok, s.RM.RenewDelegationToken, s.RM.CancelDelegationToken})
	return nil
}

// ProbeKMS gets a token of each KMS that the file systems name, and cancels them at once. It tells which they are; its error is
// the first that gives none.
func (s Sources) ProbeKMS(ctx context.Context) (asked []kms.Provider, err error) {
	for _, f := range s.FS {
		if asked, err = s.addKMS(ctx, f, asked); err != nil {
			return asked, err
		}
	}
	t := &Tokens{}
	for _, p := range asked {
		if err = s.getKMS(ctx, p, "", t); err != nil {
			break
		}
	}
	return asked, errors.Join(err, t.Cancel(ctx))
}

// addKMS adds the KMS of a file system, if there is one that is not there yet: several file systems may have the same.
func (s Sources) addKMS(ctx context.Context, f hdfs.Delegation, all []kms.Provider) ([]kms.Provider, error) {
	if s.KMS == nil {
		return all, nil
	}
	uri, err := f.KeyProvider(ctx)
	if err != nil || s.skip[uri] {
		return all, err
	}
	p, ok, err := kms.Parse(uri)
	if err != nil {
		return all, s.none(ctx, kms.Provider{Service: uri}, err)
	}
	if !ok || slices.ContainsFunc(all, func(q kms.Provider) bool { return q.Service == p.Service }) {
		return all, nil
	}
	return append(all, p), nil
}

func (s Sources) getKMS(ctx context.Context, p kms.Provider, renewer string, t *Tokens) error {
	c, err := s.KMS(p)
	if err != nil {
		return s.none(ctx, p, err)
	}
	tok, err := c.DelegationToken(ctx, renewer)
	if err != nil {
		return s.none(ctx, p, err)
	}
	renew := func(ctx context.Context, tok token.Token) (time.Time, error) {
		until, err := c.RenewToken(ctx, tok)
		if err != nil {
			return time.Time{}, s.away(ctx, p, err)
		}
		return until, nil
	}
	t.add(given{tok, renew, c.CancelToken})
	return nil
}

// none notes that a KMS gave no token.
func (s Sources) none(ctx context.Context, p kms.Provider, err error) error {
	if s.skip != nil {
		s.skip[p.Service] = true
	}
	return s.away(ctx, p, err)
}

// away is a KMS's error, unless somebody else hears of it.
func (s Sources) away(ctx context.Context, p kms.Provider, err error) error {
	if s.Away == nil || ctx.Err() != nil {
		return err
	}
	s.Away(p, err)
	return nil
}

// GetFor gets tokens that nobody is to renew, and tells when the first of them ends, for somebody with tickets whose name is
// me. A token with a renewer could be submitted to YARN by no other than him: the ResourceManager renews what it gets, and
// may not. It skips those without. When such end is learned from others, which are renewed once and cancelled.
func (s Sources) GetFor(ctx context.Context, me string) (*Tokens, time.Time, error) {
	s.skip = map[string]bool{}
	probes, err := s.Get(ctx, me)
	if err != nil {
		return nil, time.Time{}, err
	}
	until, err := probes.Renew(ctx)
	probes.Cancel(ctx) //nolint:errcheck // they end by themselves
	if err != nil {
		return nil, time.Time{}, err
	}
	t, err := s.Get(ctx, "")
	return t, until, err
}

func (t *Tokens) add(g given) {
	t.Credentials.Add(g.Service, g.Token)
	t.got = append(t.got, g)
}

// Renew makes all of them last longer, for who was named as their renewer, and tells when the first of them ends; zero: none
// does. Tokens end long before their last day unless somebody renews them, and only this tells when.
func (t *Tokens) Renew(ctx context.Context) (time.Time, error) {
	var first time.Time
	for _, g := range t.got {
		until, err := g.renew(ctx, g.Token)
		if err != nil {
			return time.Time{}, err
		}
		first = earlier(first, until)
	}
	return first, nil
}

// Cancel ends all of them. It waits for no longer than a few seconds, also where ctx has ended.
func (t *Tokens) Cancel(ctx context.Context) error {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer end()
	var errs []error
	for _, g := range t.got {
		errs = append(errs, g.cancel(ctx, g.Token))
	}
	t.got = nil
	return errors.Join(errs...)
}

// LastDay is when the first of the tokens ends however often it is renewed; zero: nobody knows of any.
func LastDay(c *token.Credentials) time.Time {
	var first time.Time
	for _, kind := range []string{token.KindHDFS, token.KindKMS} {
		for _, t := range c.All(kind) {
			if d, err := token.ParseDelegation(t.Identifier); err == nil {
				first = earlier(first, d.Max)
			}
		}
	}
	return first
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

package delegate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// nameNode gives tokens, and notes which of them live. So does a KMS.
type nameNode struct {
	keys    string // URI of the key provider
	service string
	life    time.Duration
	fail    error  // of the next token
	made    []byte // renewers' first letters, '-' for none
	live    []string
}

func (n *nameNode) DelegationToken(_ context.Context, renewer string) (token.Token, bool, error) {
	if n.fail != nil {
		return token.Token{}, false, n.fail
	}
	n.made = append(n.made, (renewer + "-")[0])
	n.live = append(n.live, string(n.made))
	return token.Token{Kind: token.KindHDFS, Service: n.service, Identifier: []byte(n.made), Password: []byte(renewer)}, n.life > 0, nil
}

func (n *nameNode) KeyProvider(context.Context) (string, error) { return n.keys, n.fail }

func (n *nameNode) RenewToken(_ context.Context, t token.Token) (time.Time, error) {
	if string(t.Password) != "alice" || !slices.Contains(n.live, string(t.Identifier)) {
		return time.Time{}, errors.New("not hers to renew")
	}
	return time.Now().Add(n.life), nil
}

func (n *nameNode) CancelToken(_ context.Context, t token.Token) error {
	i := slices.Index(n.live, string(t.Identifier))
	if i < 0 {
		return errors.New("there is no such token")
	}
	n.live = slices.Delete(n.live, i, i+1)
	return nil
}

// A source that fails leaves none of the others' tokens behind.
func TestAllOrNone(t *testing.T) {
	a, b := &nameNode{service: "a", life: time.Hour}, &nameNode{service: "b", fail: errors.New("away")}
	s := Sources{FS: []hdfs.Delegation{a, b}}
	if _, err := s.Get(t.Context(), "yarn"); !errors.Is(err, b.fail) || len(a.live) != 0 || string(a.made) != "y" {
		t.Errorf("%v; left: %v", err, a.live)
	}
	if _, _, err := s.GetFor(t.Context(), "alice"); !errors.Is(err, b.fail) || len(a.live) != 0 {
		t.Errorf("%v; left: %v", err, a.live)
	}
}

// What somebody gets for himself nobody is to renew; the end is the first one's, and what it was learned by is cancelled.
func TestGetFor(t *testing.T) {
	a, b, plain := &nameNode{service: "a", life: time.Hour}, &nameNode{service: "b", life: time.Minute}, &nameNode{}
	s := Sources{FS: []hdfs.Delegation{a, b, plain}}
	got, until, err := s.GetFor(t.Context(), "alice")
	if err != nil || time.Until(until) > time.Minute || time.Until(until) < 50*time.Second {
		t.Fatalf("until %v, %v", until, err)
	}
	if len(got.Credentials.Tokens) != 2 || string(a.made) != "a-" || !slices.Equal(a.live, []string{"a-"}) || !slices.Equal(b.live, []string{"a-"}) {
		t.Errorf("%v; living: %v, %v", got.Credentials, a.live, b.live)
	}
	if err := got.Cancel(t.Context()); err != nil || len(a.live)+len(b.live) != 0 {
		t.Errorf("%v; left: %v, %v", err, a.live, b.live)
	}
	if err := got.Cancel(t.Context()); err != nil {
		t.Errorf("cancelled twice: %v", err)
	}
}

// keyServer is a KMS.
type keyServer struct{ nameNode }

func (k *keyServer) DelegationToken(ctx context.Context, renewer string) (token.Token, error) {
	t, _, err := k.nameNode.DelegationToken(ctx, renewer)
	t.Kind = token.KindKMS
	return t, err
}

// noRenewals is a KMS that knows nobody as a renewer.
type noRenewals struct{ *keyServer }

var errNoRenewals = errors.New("non-matching renewer")

func (noRenewals) RenewToken(context.Context, token.Token) (time.Time, error) {
	return time.Time{}, errNoRenewals
}

// Of a KMS that file systems name there is a token like theirs, one where several name it, and none where there is none.
func TestKMS(t *testing.T) {
	const uri, other = "kms://http@k1;k2:9600/kms", "kms://https@k3:9600/kms"
	a, b, c := &nameNode{service: "a", life: time.Hour, keys: uri}, &nameNode{service: "b", life: time.Hour, keys: uri}, &nameNode{service: "c", life: time.Hour, keys: other}
	files := &nameNode{service: "d", life: time.Hour, keys: "jceks://file@/keys"}
	plain := &nameNode{keys: "kms://http@nobody:9600/kms"}
	servers := map[string]*keyServer{uri: {nameNode{service: uri, life: time.Minute}}, other: {nameNode{service: other, life: 2 * time.Hour}}}
	s := Sources{FS: []hdfs.Delegation{a, plain, b, files, c}, KMS: func(p kms.Provider) (KMS, error) {
		if k := servers[p.Service]; k != nil {
			return k, nil
		}
		return nil, errors.New("who is " + p.Service)
	}}
	got, until, err := s.GetFor(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(until); left > time.Minute || left < 50*time.Second { // the KMS's ends first
		t.Errorf("until %v", until)
	}
	for _, k := range servers {
		if tok := got.Credentials.Tokens[k.service]; string(k.made) != "a-" || !slices.Equal(k.live, []string{"a-"}) || tok.Kind != token.KindKMS || string(tok.Identifier) != "a-" {
			t.Errorf("%s: made %s, living %v, given %v", k.service, k.made, k.live, tok)
		}
	}
	if err := got.Cancel(t.Context()); err != nil || len(servers[uri].live)+len(servers[other].live) != 0 {
		t.Errorf("%v; left: %v", err, servers)
	}

	// One that is away fails the whole, with nothing left, unless somebody hears of it.
	servers[uri].fail = errors.New("away")
	if _, err := s.Get(t.Context(), "yarn"); !errors.Is(err, servers[uri].fail) || len(a.live)+len(b.live)+len(c.live) != 0 {
		t.Errorf("%v; left: %v", err, a.live)
	}
	var heard []string
	s.Away = func(p kms.Provider, err error) { heard = append(heard, p.Service+" "+err.Error()) }
	a.keys = "kms://nonsense"
	got, err = s.Get(t.Context(), "yarn")
	if err != nil || len(got.Credentials.Tokens) != 5 || len(heard) != 2 || heard[1] != uri+" away" || !strings.HasPrefix(heard[0], a.keys+" ") {
		t.Errorf("%v, %v, heard %q", got, err, heard)
	}
	stubborn := Sources{FS: []hdfs.Delegation{b}, KMS: func(kms.Provider) (KMS, error) { return noRenewals{servers[other]}, nil }}
	b.keys = other
	if _, _, err := stubborn.GetFor(t.Context(), "alice"); !errors.Is(err, errNoRenewals) {
		t.Errorf("none is renewed: %v", err)
	}
	heard, stubborn.Away = nil, s.Away
	got, until, err = stubborn.GetFor(t.Context(), "alice")
	if left := time.Until(until); err != nil || left > time.Hour || left < 50*time.Minute || len(got.Credentials.Tokens) != 2 || len(heard) != 1 {
		t.Errorf("none is renewed, somebody hears of it: %v, %v, heard %q", until, err, heard)
	}
	heard = nil
	if got, _, err = s.GetFor(t.Context(), "alice"); err != nil || len(got.Credentials.Tokens) != 5 || len(heard) != 1 { // it was asked once
		t.Errorf("%v, %v, heard %q", got, err, heard)
	}
	heard, s.KMS = nil, nil
	if got, err = s.Get(t.Context(), "yarn"); err != nil || len(got.Credentials.Tokens) != 4 || len(heard) != 0 {
		t.Errorf("none is asked: %v, %v", got, err)
	}
}

func TestLastDayOfWhatCannotBeRead(t *testing.T) {
	c := &token.Credentials{}
	c.Add("x", token.Token{Kind: token.KindHDFS, Identifier: []byte("broken")})
	if d := LastDay(c); !d.IsZero() {
		t.Error(d)
	}
}

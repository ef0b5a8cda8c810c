package delegate

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// nameNode gives tokens, and notes which of them live.
type nameNode struct {
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

func TestLastDayOfWhatCannotBeRead(t *testing.T) {
	c := &token.Credentials{}
	c.Add("x", token.Token{Kind: token.KindHDFS, Identifier: []byte("broken")})
	if d := LastDay(c); !d.IsZero() {
		t.Error(d)
	}
}

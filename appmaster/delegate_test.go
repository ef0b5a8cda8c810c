package appmaster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/identity"
)

func tokenOf(kind, service, password string) token.Token {
	return token.Token{Kind: kind, Service: service, Identifier: []byte("id"), Password: []byte(password)}
}

// Tokens that the owner brings reach the processes in containers, in their files, and the next attempt; a worker gets none
// of the ResourceManager's.
func TestTokensReachContainers(t *testing.T) {
	w := prepare(t, 1)
	first := &token.Credentials{}
	first.Add("nn", tokenOf(token.KindHDFS, "nn", "first"))
	first.Add("rm", tokenOf(token.KindRM, "rm", "first"))
	now := time.Now()
	w.opt.Delegation = delegation.NewKeeper(delegation.Options{First: delegation.Grant{Tokens: first, Until: now.Add(10 * time.Second)}, Files: w.opt.Staging})
	w.begin()
	info := w.until("a worker", running(1))
	if d := info.GetDelegation(); d == nil || d.Renews || !d.Until.AsTime().Equal(now.Add(10*time.Second)) {
		t.Errorf("told: %v", d)
	}
	worker := containers(info, "worker")[0].Id
	who := map[string]*identity.Identity{"worker": w.identity(identity.Worker, worker), "program": w.identity(identity.Client, "alice")}
	dir := t.TempDir()
	for name, id := range who {
		has := first.Without()
		if name == "worker" {
			has = first.Without(token.KindRM)
		}
		has.Add("am", tokenOf("SOMETHING", "else", "of YARN's"))
		has.AddSecret("join", []byte("secret"))
		if err := os.WriteFile(filepath.Join(dir, name), has.Append(nil, token.V0), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		c := w.dial(id)
		go func() {
			amclient.KeepTokens(ctx, c, filepath.Join(dir, name), filepath.Join(dir, name+"'s commands"))
			close(ended)
		}()
		t.Cleanup(func() { cancel(); <-ended })
	}
	second := &token.Credentials{}
	second.Add("x", tokenOf(token.KindHDFS, "nn", "second"))
	second.Add("y", tokenOf(token.KindRM, "rm", "second"))
	owner := w.dial(w.identity(identity.Client, "alice"))
	until := now.Add(time.Hour).Truncate(time.Second)
	if good, kept, err := owner.Delegate(t.Context(), second, until, false); err != nil || kept || !good.Equal(until) {
		t.Fatalf("good until %v, own kept: %v, %v", good, kept, err)
	}
	if good, kept, err := owner.Delegate(t.Context(), first, now.Add(time.Minute), false); err != nil || !kept || !good.Equal(until) {
		t.Errorf("those that end sooner: good until %v, own kept: %v, %v", good, kept, err)
	}
	w.until("that it is told", func(i *ampb.Info) bool { return i.GetDelegation().GetUntil().AsTime().Equal(until) })
	for name := range who {
		got := awaitTokens(t, filepath.Join(dir, name), "second")
		rm, hasRM := got.Tokens["rm"]
		if string(got.Secrets["join"]) != "secret" || got.Tokens["am"].Service != "else" || hasRM != (name == "program") || hasRM && string(rm.Password) != "second" {
			t.Errorf("%s: %v", name, got)
		}
		if own := awaitTokens(t, filepath.Join(dir, name+"'s commands"), "second"); len(own.Secrets) != 0 || len(own.Tokens) != len(got.Tokens) {
			t.Errorf("%s: what is for commands: %v", name, own)
		}
	}
	var e *amclient.Error
	if _, _, err := owner.Delegate(t.Context(), second, now.Add(-time.Second), true); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("tokens that have ended: %v", err)
	}
	if _, _, err := owner.Delegate(t.Context(), &token.Credentials{}, until, true); err == nil {
		t.Error("no tokens were taken")
	}
	if _, _, err := w.dial(who["worker"]).Delegate(t.Context(), second, until, true); !errors.As(err, &e) || !e.Refused() {
		t.Errorf("a worker brings tokens: %v", err)
	}
	// Who may submit work is no owner: neither does the application act in his name, nor does he get the owner's.
	for role, name := range map[identity.Role]string{identity.Client: "ann", identity.Operator: "alice", identity.Viewer: "alice"} {
		_, _, err := w.dial(w.identity(role, name)).Delegate(t.Context(), second, until.Add(time.Hour), true)
		if !errors.As(err, &e) || !e.Refused() || !strings.Contains(err.Error(), "may not call") {
			t.Errorf("%s as %s brings tokens: %v", name, role, err)
		}
	}
	// A container that is gone gets none, whatever its certificate is good for.
	gone := w.dial(w.identity(identity.Worker, "container_1_0001_01_000001"))
	if got, _, err := gone.NewerTokens(t.Context(), first); got != nil || !errors.As(err, &e) || !e.Refused() {
		t.Errorf("a container that is gone asks for tokens: %v, %v", got, err)
	}
	next := delegation.NewKeeper(delegation.Options{First: delegation.Grant{Tokens: first, Until: now}, Files: w.opt.Staging})
	if err := next.Begin(t.Context()); err != nil || string(next.Now().Tokens.Tokens["nn"].Password) != "second" {
		t.Errorf("the next attempt begins with %v, %v", next.Now().Tokens, err)
	}
	if good, kept, err := owner.Delegate(t.Context(), first, now.Add(time.Minute), true); err != nil || kept || !good.Before(until) {
		t.Errorf("that must be taken: good until %v, own kept: %v, %v", good, kept, err)
	}
}

// awaitTokens waits until the token of nn in a file has that password.
func awaitTokens(t *testing.T, path, password string) *token.Credentials {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // nobody tells of a file's change
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", path, st, err)
		}
		got, err := token.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Tokens["nn"].Password) == password {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no new tokens: %v", path, got)
		}
	}
}

// Where no tokens are needed nobody asks twice, and none are taken.
func TestNoTokensWithoutKerberos(t *testing.T) {
	w := prepare(t, 0)
	w.begin()
	info := w.until("a scheduler", func(i *ampb.Info) bool { return i.Scheduler != nil })
	if info.Delegation != nil {
		t.Errorf("told: %v", info.Delegation)
	}
	c := &token.Credentials{}
	c.Add("nn", tokenOf(token.KindHDFS, "nn", "x"))
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, c.Append(nil, token.V0), 0o600); err != nil {
		t.Fatal(err)
	}
	owner := w.dial(w.identity(identity.Client, "alice"))
	amclient.KeepTokens(t.Context(), owner, path) // returns
	if _, _, err := owner.Delegate(t.Context(), c, time.Now().Add(time.Hour), true); err == nil || !strings.Contains(err.Error(), "no Kerberos") {
		t.Errorf("%v", err)
	}
}

package gssapi

import (
	"testing"
	"time"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 123456789, time.UTC)

const service = "nn/host.example.com"

func newRealm(keyType int32) *Issuer {
	return &Issuer{Realm: "EXAMPLE.COM", KeyType: keyType, Life: time.Hour, Now: func() time.Time { return now }}
}

func ticket(t testing.TB, r *Issuer) Credential {
	t.Helper()
	cred, err := r.Ticket("alice", service)
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

// establish has a context on both sides.
func establish(t testing.TB, keyType int32) (initiator, acceptor *Messages) {
	t.Helper()
	return establishBy(t, keyType, false)
}

// establishBy is establish with a key of the acceptor's own, or without.
func establishBy(t testing.TB, keyType int32, subkey bool) (initiator, acceptor *Messages) {
	t.Helper()
	r := newRealm(keyType)
	i, err := NewInitiator(ticket(t, r), now)
	if err != nil {
		t.Fatal(err)
	}
	first, err := i.Token()
	if err != nil {
		t.Fatal(err)
	}
	a := r.Acceptor(service)
	a.Subkey = subkey
	answer, err := a.Accept(first, now.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Finish(answer); err != nil {
		t.Fatal(err)
	}
	if name, realm := a.Client(); name.PrincipalNameString() != "alice" || realm != "EXAMPLE.COM" {
		t.Fatalf("the acceptor takes alice for %v of %s", name, realm)
	}
	return i.Messages(), a.Messages()
}

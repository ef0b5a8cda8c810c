package spnego

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

const service = "HTTP/kms.example.com"

var realm = &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}

func begin(t *testing.T) (*Client, string) {
	t.Helper()
	cred, err := realm.Ticket("alice", service)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(cred, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return c, h
}

// Both sides prove who they are in one request.
func TestBothProve(t *testing.T) {
	c, h := begin(t)
	a := realm.Acceptor(service)
	answer, err := Accept(a, h, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if name, in := a.Client(); name.PrincipalNameString() != "alice" || in != "EXAMPLE.COM" {
		t.Errorf("%s@%s", name.PrincipalNameString(), in)
	}
	if err := c.Finish([]string{"Basic realm=x", answer}); err != nil {
		t.Error(err)
	}
}

// An answer that anybody could give is none.
func TestServerMustProve(t *testing.T) {
	_, other := begin(t)
	others, err := Accept(realm.Acceptor(service), other, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	const completed = "Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg==" // and no token in it
	for what, answers := range map[string][]string{"none": nil, "the scheme alone": {"Negotiate"}, "completed": {completed}, "rejected": {"Negotiate oQcwBaADCgEC"},
		"the answer to another": {others}, "the question": {other}, "no base 64": {"Negotiate *"}, "no message": {"Negotiate AAAA"}, "empty": {"Negotiate YA=="},
		"too long": {"Negotiate " + strings.Repeat("A", maxToken+1)}} {
		c, _ := begin(t)
		if err := c.Finish(answers); !errors.Is(err, ErrNoProof) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestServerRefuses(t *testing.T) {
	_, h := begin(t)
	for what, h := range map[string]string{"nothing": "", "another scheme": "Basic YTpi", "an answer": "Negotiate oQcwBaADCgEC"} {
		if _, err := Accept(realm.Acceptor(service), h, time.Now()); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if _, err := Accept(realm.Acceptor("HTTP/other"), h, time.Now()); err == nil {
		t.Error("a ticket for another was accepted")
	}
}

func FuzzFinish(f *testing.F) {
	f.Add([]byte{0xa1, 0x07, 0x30, 0x05, 0xa0, 0x03, 0x0a, 0x01, 0x02})
	f.Add([]byte{0x60, 0x06, 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02})
	cred, err := realm.Ticket("alice", service)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := NewClient(cred, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Finish([]string{"Negotiate " + base64.StdEncoding.EncodeToString(b)}); err == nil {
			t.Error("it took a proof that nobody could give")
		}
	})
}

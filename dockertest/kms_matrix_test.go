//go:build hadoop && matrix

package dockertest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// The life of a token of Hadoop's own KMS, which the NameNode names.
func TestMatrixKerberosKMS(t *testing.T) {
	k := openKerberized(t, "secure-kms")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	alice := k.login(t, "alice")
	uri, err := k.hdfs(t, alice, "alice").(hdfs.Delegation).KeyProvider(ctx)
	if err != nil || uri != k.Composition().KMSURI() {
		t.Fatalf("the NameNode names %q, %v", uri, err)
	}
	p, isKMS, err := kms.Parse(uri)
	if err != nil || !isKMS {
		t.Fatal(isKMS, err)
	}
	c := kms.New(p, kms.Options{Tickets: alice, Dial: k.Dial})
	tok, err := c.DelegationToken(ctx, "alice")
	ok(t, err)
	d, err := token.ParseDelegation(tok.Identifier)
	if err != nil || d.Owner != "alice" || d.Renewer != "alice" || time.Until(d.Max) < 6*24*time.Hour || tok.Kind != token.KindKMS || tok.Service != uri {
		t.Errorf("%+v, %v, %v", d, err, tok)
	}
	until, err := c.RenewToken(ctx, tok)
	if left := time.Until(until); err != nil || left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("renewed until %v, %v", until, err)
	}
	ok(t, c.CancelToken(ctx, tok))
	refusedKMS(t, "cancelled twice", c.CancelToken(ctx, tok), "Invalid delegation token")
	_, err = c.RenewToken(ctx, tok)
	refusedKMS(t, "renewed after its end", err, "it refuses")

	forRM, err := c.DelegationToken(ctx, "rm/rm.example.test@EXAMPLE.TEST")
	ok(t, err)
	if d, err := token.ParseDelegation(forRM.Identifier); err != nil || d.Renewer != "yarn" {
		t.Errorf("the ResourceManager's is for %+v, %v", d, err)
	}
	_, err = c.RenewToken(ctx, forRM)
	refusedKMS(t, "renewed by another", err, "alice")
	ok(t, c.CancelToken(ctx, forRM))
	forNobody, err := c.DelegationToken(ctx, "")
	ok(t, err)
	if d, err := token.ParseDelegation(forNobody.Identifier); err != nil || d.Renewer != "" {
		t.Errorf("%+v, %v", d, err)
	}
	ok(t, c.CancelToken(ctx, forNobody))

	svc := kms.New(p, kms.Options{Tickets: k.login(t, "svc"), DoAs: "bob", Dial: k.Dial})
	bobs, err := svc.DelegationToken(ctx, "bob")
	ok(t, err)
	if d, err := token.ParseDelegation(bobs.Identifier); err != nil || d.Owner != "bob" || d.RealUser != "svc" {
		t.Errorf("%+v, %v", d, err)
	}
	_, err = svc.RenewToken(ctx, bobs)
	ok(t, err)
	ok(t, svc.CancelToken(ctx, bobs))
	_, err = kms.New(p, kms.Options{Tickets: alice, DoAs: "bob", Dial: k.Dial}).DelegationToken(ctx, "bob")
	refusedKMS(t, "alice for bob", err, "alice is not allowed to impersonate bob")
}

func refusedKMS(t *testing.T, what string, err error, text string) {
	t.Helper()
	if e := (*kms.Error)(nil); !errors.As(err, &e) || e.Kind != kms.Refused || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want a refusal with %q", what, err, text)
	}
	t.Logf("%s: %v", what, err)
}

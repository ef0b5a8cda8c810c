//go:build hadoop && chaos

package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// An application with a keytab needs no KDC to survive: while that hangs, another application master comes up by the tokens
// that YARN gave it, and starts containers. When the KDC is there again, so are new tokens.
func TestChaosKDC(t *testing.T) {
	c := dockertest.Exclusive(t, "secure")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	svc := c.Edge("svc").Ticketed(t)
	a := submit(t, svc, "--workers", "2", "--worker-memory", "256MiB", "--wait", "workers:2", "--principal", "svc@EXAMPLE.TEST", "--keytab", layout.KeytabDir+"/svc.keytab")
	words := someText(t, svc)
	a.count(t, svc, words)
	if err := c.PauseDaemon(ctx, "kdc", layout.KDC.Name); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	another := func(role string) time.Duration {
		t.Helper()
		was, since := a.roles(t), time.Now()
		killOne(t, a, role)
		await(t, "another "+role+", without a KDC", 2*time.Minute, func() bool {
			return slices.ContainsFunc(a.roles(t), func(p string) bool { return isRole(p, role) && !slices.Contains(was, p) })
		})
		return time.Since(since).Round(time.Millisecond)
	}
	master := another("appmaster")
	worker := another("worker") // whom the new one starts
	t.Logf("while the KDC hung: another application master after %v, another worker after %v; that took %v in all", master, worker, time.Since(began).Round(time.Second))
	if err := c.ResumeDaemon(ctx, "kdc", layout.KDC.Name); err != nil {
		t.Fatal(err)
	}
	a.must(t, "wait", "--for", "workers:2", "--timeout", "2m")
	if n := len(a.attempts(t)); n != 2 {
		t.Errorf("%d attempts: one of them has ended by itself", n)
	}
	await(t, "new tokens, when the KDC is there again", 2*time.Minute, func() bool { return a.tokens(t).Warning == "" })
	if now := a.tokens(t); !now.Renews || now.Until.Before(time.Now()) {
		t.Errorf("%+v", now)
	}
	a.count(t, svc, words)
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}

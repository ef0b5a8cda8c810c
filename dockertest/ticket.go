package dockertest

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// Ticketed returns e with a ticket of its user, got by his keytab, in a cache of the test's own, which goes when the test
// ends. Tests that run at the same time do not see each other's.
func (e Edge) Ticketed(t testing.TB) Edge {
	t.Helper()
	e = e.Ticketless(t)
	e.Must(t, "kinit", "-k", "-t", layout.KeytabDir+"/"+e.User+".keytab", e.User)
	return e
}

// Ticketless returns e with an empty ticket cache of the test's own.
func (e Edge) Ticketless(t testing.TB) Edge {
	t.Helper()
	name := strings.NewReplacer("/", "_", " ", "_").Replace(t.Name())
	e.cache = "/tmp/krb5cc_" + e.User + "_" + name
	e.Run(t, "kdestroy", "-q") // of a run that was cut short
	t.Cleanup(func() { e.Run(t, "kdestroy", "-q") })
	return e
}

//go:build hadoop

package dockertest_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The Docker client keeps idle connections to the engine, and has no way to close them.
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		// An engine that a test had to start stays for those that come after it.
		goleak.IgnoreAnyFunction("github.com/yarnd/yarnd/dockertest/dockerd.start.func1"))
}

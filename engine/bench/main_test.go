package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Each test of a whole run starts this test binary again as the roles.
func TestMain(m *testing.M) {
	if code, yes := inRole(); yes {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/yarnd/yarnd"
)

// The test binary is also the program under test: scripts run it as "yarnd", and
// it is what gets staged and plays every role of an application on this machine.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"yarnd": func() {
			yarnd.MainCode(func(ctx context.Context) int {
				return Run(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
			})
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("YARND_HOME", filepath.Join(e.WorkDir, ".state"))
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

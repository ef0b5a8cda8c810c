package survive

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// program is the yarnd that plays every role: static, however the tests were built.
var program string

// programEnv names it for a test that runs as a process of its own.
const programEnv = "YARND_TEST_PROGRAM"

func TestMain(m *testing.M) {
	program = os.Getenv(programEnv)
	dir, err := os.MkdirTemp("", "yarnd-survive")
	if err == nil && program == "" {
		program = filepath.Join(dir, "yarnd")
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "github.com/yarnd/yarnd/cmd/yarnd")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out []byte
		if out, err = build.CombinedOutput(); err != nil {
			err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

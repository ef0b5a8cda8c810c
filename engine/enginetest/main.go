package enginetest

import (
	"log/slog"
	"os"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
)

// Main is what TestMain calls: it runs the tests. In a process that a cluster started,
// it is a worker's or an executor's whole life.
func Main(m *testing.M) {
	Processes()
	os.Exit(m.Run())
}

// Processes is the part of Main for programs that are no tests, and for a TestMain
// with plans of its own, such as goleak.VerifyTestMain: a cluster leaves no goroutine
// behind. In a process that a cluster started it does not return.
func Processes() {
	if executor.InChild() {
		os.Exit(executor.Main(os.Args[2:], engine.Funcs()))
	}
	if file := os.Getenv(envWorker); file != "" {
		os.Unsetenv(envWorker) // not for its children
		os.Exit(runWorker(file))
	}
	if file := os.Getenv(envScheduler); file != "" {
		os.Unsetenv(envScheduler)
		os.Exit(runScheduler(file))
	}
}

func stderrLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

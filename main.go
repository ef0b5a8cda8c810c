package yarnd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
)

// Main is what a program's main function calls: it runs the program, or, where
// the binary was started inside a cluster, the role that it has there. It does
// not return. The context ends at the first interrupt or SIGTERM; another one, a
// moment later, ends the program at once.
//
// An error from run is written to standard error, and its kind decides the exit
// code (see ExitCode).
func Main(run func(context.Context) error) {
	MainCode(func(ctx context.Context) int {
		err := run(ctx)
		if err == nil {
			return 0
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", programName(), err)
		return int(ExitCode(err))
	})
}

// MainCode is Main for a program that tells of its errors itself and returns an
// exit code.
func MainCode(run func(context.Context) int) {
	if executor.InChild() {
		os.Exit(executor.Main(os.Args[2:], engine.Funcs()))
	}
	if role := roleOf(os.Args); role != nil {
		os.Exit(runRole(role))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		time.Sleep(sameSignal)
		stop() // the next signal has its usual effect
	}()
	os.Exit(run(ctx))
}

// sameSignal is how soon after the first signal another one is that one too: timeout(1)
// and some supervisors send it to the process and to its group.
const sameSignal = 100 * time.Millisecond

func programName() string {
	if exe, err := os.Executable(); err == nil {
		return baseName(exe)
	}
	return "yarnd"
}

func baseName(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// role is what this process is inside a cluster.
type role func(ctx context.Context, log *slog.Logger) error

// roleOf says which role the command line and the surroundings ask for, or nil.
// The surroundings have to agree, so that a program may have a command of its own
// called "worker".
func roleOf(args []string) role {
	if len(args) != 2 {
		return nil
	}
	inContainer := os.Getenv("HADOOP_TOKEN_FILE_LOCATION") != "" && os.Getenv("CONTAINER_ID") != "" && os.Getenv(executor.EnvTask) == "" // else it is a command
	switch args[1] {
	case "appmaster":
		if inContainer || os.Getenv(edgeclient.LocalDirVar) != "" {
			return appMaster
		}
	case "scheduler":
		if inContainer {
			return scheduler
		}
	case "worker":
		if inContainer {
			return worker
		}
	case "driver":
		if inContainer {
			return driver
		}
	}
	return nil
}

// runRole runs a role until it ends or the process is told to; its log is
// standard error, which is a file of the container.
func runRole(r role) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: logLevel()}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	withoutCore(log)
	err := r(ctx, log)
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return 0
	}
	var end programEnd
	if errors.As(err, &end) {
		return int(end) // the program has told of its errors itself
	}
	log.Error("this process ends", "why", err)
	return int(ExitCode(err))
}

func logLevel() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(os.Getenv("YARND_LOG"))) != nil {
		return slog.LevelInfo
	}
	return l
}

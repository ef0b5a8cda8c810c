package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
)

// signalled is what shells add to the number of the signal that ended a command.
const signalled = 128

// passesThrough tells whether a command's exit code is that of a remote one, so that
// failures of yarnd's own need a code that such a one rarely has.
func passesThrough(command string) bool { return command == "exec" || command == "run" }

// remote is a command to run on a worker.
type remote struct {
	argv  []string
	env   map[string]string
	dir   string // in which it runs; "" is the worker's
	stdin bool   // it gets ours, as it comes
	// interrupts go to the command first: the second one ends it.
	interrupts bool
}

// runRemote runs a command on a worker, writes its output as it comes, and returns its
// exit code as an [exit].
func (c *command) runRemote(ctx context.Context, cluster *yarnd.Cluster, r remote) error {
	// Whoever reads the output may have had enough, as head does: then the command
	// shall end too, so this process may not be ended by SIGPIPE.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	o := []engine.CommandOption{engine.Live(), engine.Literal(), engine.Env(r.env), engine.Dir(r.dir)}
	if r.stdin {
		o = append(o, engine.Interactive())
	}
	future := yarnd.Command(r.argv, o...).Submit(ctx, cluster.Client, "")
	if r.interrupts {
		var stop func()
		ctx, stop = c.passInterrupts(ctx, future)
		defer stop()
	}
	if r.stdin {
		var fed func()
		ctx, fed = c.feed(ctx, future)
		defer fed()
	}
	again := func() { c.progress("yarnd: its worker was lost; the command starts again") }
	out := &watchedWriter{w: c.Out}
	result, err := engine.Follow(ctx, future, out, c.Err, again)
	switch {
	case out.err != nil:
		return outputLost(out.err)
	case err != nil:
		return err
	case result.Exit != 0:
		return exit(result.Exit)
	}
	return nil
}

// watchedWriter remembers a failure to write.
type watchedWriter struct {
	w   io.Writer
	err error
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// commandEnded tells whether err is how a remote command ended, rather than a failure
// of ours.
func commandEnded(err error) bool {
	var e exit
	return err == nil || errors.As(err, &e)
}

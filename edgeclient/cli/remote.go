package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// signalled is what shells add to the number of the signal that ended a command.
const signalled = 128

// maxStdin bounds what a command gets on standard input: it travels with the task.
const maxStdin = 32 << 20

// passesThrough tells whether a command's exit code is that of a remote one, so that
// failures of yarnd's own need a code that such a one rarely has.
func passesThrough(command string) bool { return command == "exec" || command == "run" }

// remote is a command to run on a worker.
type remote struct {
	argv  []string
	env   map[string]string
	stdin bool // it gets ours
}

// runRemote runs a command on a worker, writes its output as it comes, and returns its
// exit code as an [exit].
func (c *command) runRemote(ctx context.Context, cluster *yarnd.Cluster, r remote) error {
	input, err := c.remoteInput(r)
	if err != nil {
		return err
	}
	// Whoever reads the output may have had enough, as head does: then the command
	// shall end too, so this process may not be ended by SIGPIPE.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	o := []engine.CommandOption{engine.Live(), engine.Literal(), engine.Env(r.env)}
	if r.stdin {
		o = append(o, engine.Stdin())
	}
	future := yarnd.Command(r.argv, o...).Submit(ctx, cluster.Client, input)
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

// remoteInput reads what the command gets on standard input.
func (c *command) remoteInput(r remote) (string, error) {
	if !r.stdin {
		return "", nil
	}
	data, err := io.ReadAll(io.LimitReader(c.In, maxStdin+1))
	if err != nil {
		return "", &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot read standard input", Why: err}
	}
	if len(data) > maxStdin {
		return "", usage(fmt.Sprintf("standard input has more than %s", edgeclient.FormatBytes(maxStdin)), "Ship it with --files, or put it on HDFS")
	}
	return string(data), nil
}

// commandEnded tells whether err is how a remote command ended, rather than a failure
// of ours.
func commandEnded(err error) bool {
	var e exit
	return err == nil || errors.As(err, &e)
}

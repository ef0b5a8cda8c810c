package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/ory/dockertest/v3/docker"
)

// Command is a process to run on a host.
type Command struct {
	// Host is the short name.
	Host string
	// User is the account; "" is root.
	User string
	// Env are more variables, as NAME=VALUE.
	Env []string
	// Argv is the command, found on the host's PATH.
	Argv []string
	// Stdin may be nil: then the command reads nothing. Stdout and Stderr may be nil: then they are thrown away.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exec runs the command to its end and returns its exit code: 127 if there is no such command, 128+n if signal n
// ended it. An error means that the code is not known. When ctx ends, Exec returns; the command stays.
func (c *Cluster) Exec(ctx context.Context, cmd Command) (int, error) {
	argv := cmd.Argv
	if len(cmd.Env) > 0 { // the client refuses CreateExecOptions.Env unless it was told the engine's API version
		argv = slices.Concat([]string{"env"}, cmd.Env, argv)
	}
	exec, err := c.pool.Client.CreateExec(docker.CreateExecOptions{
		Container: c.Container(cmd.Host), User: cmd.User, Cmd: argv, Context: ctx,
		AttachStdin: cmd.Stdin != nil, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, fmt.Errorf("run %q on %s: %w", cmd.Argv, cmd.Host, err)
	}
	stdout, stderr := cmd.Stdout, cmd.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	wait, err := c.pool.Client.StartExecNonBlocking(exec.ID, docker.StartExecOptions{
		InputStream: cmd.Stdin, OutputStream: stdout, ErrorStream: stderr, Context: ctx,
	})
	if err != nil {
		return 0, fmt.Errorf("run %q on %s: %w", cmd.Argv, cmd.Host, err)
	}
	done := make(chan error, 1)
	go func() { done <- wait.Wait() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		wait.Close()
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("run %q on %s: %w", cmd.Argv, cmd.Host, err)
	}
	state, err := c.pool.Client.InspectExec(exec.ID)
	if err != nil {
		return 0, err
	}
	return state.ExitCode, nil
}

// Output runs a command as user and returns what it wrote to its standard output. A code other than 0 is an error that
// carries the standard error.
func (c *Cluster) Output(ctx context.Context, host, user string, argv ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	code, err := c.Exec(ctx, Command{Host: host, User: user, Argv: argv, Stdout: &stdout, Stderr: &stderr})
	if err == nil && code != 0 {
		err = fmt.Errorf("%q on %s ended with exit code %d: %s", argv, host, code, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), err
}

// detach starts a command that outlives us.
func (c *Cluster) detach(ctx context.Context, host, user string, argv ...string) error {
	exec, err := c.pool.Client.CreateExec(docker.CreateExecOptions{
		Container: c.Container(host), User: user, Cmd: argv, Context: ctx,
	})
	if err == nil {
		err = c.pool.Client.StartExec(exec.ID, docker.StartExecOptions{Detach: true, Context: ctx})
	}
	if err != nil {
		return fmt.Errorf("start %q on %s: %w", argv, host, err)
	}
	return nil
}

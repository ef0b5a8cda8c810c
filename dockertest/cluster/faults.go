package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ory/dockertest/v3/docker"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// How often a state is looked at while waiting for it.
const poll = 50 * time.Millisecond

// daemon finds a daemon of a host by name.
func (c *Cluster) daemon(host, name string) (layout.Daemon, error) {
	h, err := c.spec.Composition.Host(host)
	if err != nil {
		return layout.Daemon{}, err
	}
	i := slices.IndexFunc(h.Daemons, func(d layout.Daemon) bool { return d.Name == name })
	if i < 0 {
		return layout.Daemon{}, fmt.Errorf("host %s runs no %q", host, name)
	}
	return h.Daemons[i], nil
}

// Running says whether the daemon's process exists.
func (c *Cluster) Running(ctx context.Context, host, name string) (bool, error) {
	d, err := c.daemon(host, name)
	if err != nil {
		return false, err
	}
	code, err := c.Exec(ctx, Command{Host: host, Argv: []string{"pgrep", "-f", d.Pattern()}})
	if err == nil && code > 1 {
		err = fmt.Errorf("pgrep on %s: exit code %d", host, code)
	}
	return code == 0, err
}

// SignalDaemon sends a signal ("KILL", "TERM", "STOP", "CONT") to the daemon's process.
func (c *Cluster) SignalDaemon(ctx context.Context, host, name, signal string) error {
	d, err := c.daemon(host, name)
	if err != nil {
		return err
	}
	_, err = c.Output(ctx, host, "", "pkill", "-"+signal, "-f", d.Pattern())
	return err
}

// PauseDaemon stops the daemon's process (SIGSTOP): connections to it stay open and nothing answers, and its host and its
// children go on.
func (c *Cluster) PauseDaemon(ctx context.Context, host, name string) error {
	return c.SignalDaemon(ctx, host, name, "STOP")
}

// ResumeDaemon lets a paused daemon go on.
func (c *Cluster) ResumeDaemon(ctx context.Context, host, name string) error {
	return c.SignalDaemon(ctx, host, name, "CONT")
}

// KillDaemon kills the daemon (SIGKILL) and returns when its process is gone. Its children, such as the containers of
// a NodeManager, are left as they are.
func (c *Cluster) KillDaemon(ctx context.Context, host, name string) error {
	if err := c.SignalDaemon(ctx, host, name, "KILL"); err != nil {
		return err
	}
	return c.awaitGone(ctx, host, name)
}

// StopDaemon asks the daemon to end (SIGTERM) and returns when its process is gone.
func (c *Cluster) StopDaemon(ctx context.Context, host, name string) error {
	if err := c.SignalDaemon(ctx, host, name, "TERM"); err != nil {
		return err
	}
	return c.awaitGone(ctx, host, name)
}

func (c *Cluster) awaitGone(ctx context.Context, host, name string) error {
	for {
		running, err := c.Running(ctx, host, name)
		if err != nil || !running {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("wait for the end of %s on %s: %w", name, host, err)
		}
	}
}

// StartDaemon starts the daemon if it does not run. It does not wait for it to serve: see AwaitHealth.
func (c *Cluster) StartDaemon(ctx context.Context, host, name string) error {
	running, err := c.Running(ctx, host, name)
	if err != nil || running {
		return err
	}
	d, err := c.daemon(host, name)
	if err != nil {
		return err
	}
	if d.Prepare != "" {
		if _, err := c.Output(ctx, host, d.User, "sh", "-c", d.Prepare); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	return c.detach(ctx, host, d.User, slices.Concat([]string{layout.BinDir + "/daemon", d.Name}, d.Options, []string{d.Main}, d.Args)...)
}

// StopHost ends all processes of a host at once, as a power failure would. Its disk stays.
func (c *Cluster) StopHost(ctx context.Context, host string) error {
	err := c.pool.Client.StopContainerWithContext(c.Container(host), 0, ctx)
	if already := (*docker.ContainerNotRunning)(nil); errors.As(err, &already) {
		return nil
	}
	return err
}

// StartHost boots a host that is stopped, and starts those of its daemons that do not run. It does not wait for them to
// serve: see AwaitHealth.
func (c *Cluster) StartHost(ctx context.Context, host string) error {
	h, err := c.spec.Composition.Host(host)
	if err != nil {
		return err
	}
	if err := c.boot(ctx, host); err != nil {
		return err
	}
	for _, d := range h.Daemons {
		if err := c.StartDaemon(ctx, host, d.Name); err != nil {
			return err
		}
	}
	return nil
}

// boot starts a host that is stopped, without its daemons.
func (c *Cluster) boot(ctx context.Context, host string) error {
	err := c.pool.Client.StartContainerWithContext(c.Container(host), nil, ctx)
	if already := (*docker.ContainerAlreadyRunning)(nil); err != nil && !errors.As(err, &already) {
		return fmt.Errorf("start host %s: %w", host, err)
	}
	return nil
}

// PauseHost freezes all processes of a host: connections to it stay open and nothing answers.
func (c *Cluster) PauseHost(ctx context.Context, host string) error {
	return c.pool.Client.PauseContainer(c.Container(host))
}

// UnpauseHost lets a paused host go on.
func (c *Cluster) UnpauseHost(ctx context.Context, host string) error {
	return c.pool.Client.UnpauseContainer(c.Container(host))
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

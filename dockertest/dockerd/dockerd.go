// Package dockerd finds a Docker engine, and installs and starts one when none answers.
//
// An engine that answers is used as it is and never stopped by us. One that we started runs detached, survives the
// program that started it, and is known by its process id in the cache; Stop ends it when no container is left.
package dockerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/yarnd/yarnd/dockertest/cache"
)

// packages are Debian's: the engine, and what it calls to wire up networks. debootstrap makes the base image where no
// image registry answers.
var packages = []string{"docker.io", "iptables", "debootstrap"}

// startTimeout bounds the wait for a daemon that we started to answer.
const startTimeout = 60 * time.Second

// Connect returns a pool on the engine that the environment names, or an error when that does not answer.
func Connect() (*dockertest.Pool, error) {
	pool, err := dockertest.NewPool("")
	if err != nil {
		return nil, err
	}
	pool.MaxWait = startTimeout
	if err := pool.Client.Ping(); err != nil {
		return nil, err
	}
	return pool, nil
}

// Ensure returns a pool on a running engine. If none answers it starts dockerd, and if there is no dockerd it first
// installs Debian's; both need root.
func Ensure(ctx context.Context, c cache.Dir, log *slog.Logger) (*dockertest.Pool, error) {
	pool, err := Connect()
	if err == nil {
		return pool, nil
	}
	if os.Getenv("DOCKER_HOST") != "" {
		return nil, fmt.Errorf("DOCKER_HOST=%s does not answer (%w): start that engine or unset DOCKER_HOST", os.Getenv("DOCKER_HOST"), err)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("no Docker engine answers this user (%w), and only root can install or start one.\n"+
			"Start Docker and join its group (`usermod -aG docker %s`), or run this once as root", err, os.Getenv("USER"))
	}
	unlock, err := c.Lock(ctx, "dockerd")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if pool, err := Connect(); err == nil { // another process was faster
		return pool, nil
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		if err := Install(ctx, log, packages...); err != nil {
			return nil, err
		}
		if pool, err := Connect(); err == nil { // where systemd runs, the package has started its service: not ours to stop
			return pool, nil
		}
	}
	return start(ctx, c, log)
}

// installing is held while apt-get runs. A second one would not wait for the first but fail, and the image's packages
// and the jars' are found missing at the same time.
var installing sync.Mutex

// Install installs Debian packages. It asks that no service be started by its package: start does that, so that we know
// whose engine it is. Other processes' package managers are waited for. It may be called by several goroutines.
func Install(ctx context.Context, log *slog.Logger, names ...string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%s must be installed, and without apt-get that is yours to do", strings.Join(names, ", "))
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s must be installed, which needs root: apt-get install %s", strings.Join(names, ", "), strings.Join(names, " "))
	}
	installing.Lock()
	defer installing.Unlock()
	log.Info("installing Debian packages", "packages", names)
	install := append([]string{"install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"}, names...)
	for _, args := range [][]string{{"update", "-q"}, install} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

func start(ctx context.Context, c cache.Dir, log *slog.Logger) (*dockertest.Pool, error) {
	if _, err := c.Make(); err != nil {
		return nil, err
	}
	logFile := c.Path("dockerd.log")
	out, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	log.Info("starting dockerd", "log", logFile)
	cmd := exec.Command("dockerd") // not bound to ctx: it stays
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start dockerd: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	if err := os.WriteFile(c.Path("dockerd.pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if pool, err := Connect(); err == nil {
				return pool, nil
			}
		case err := <-exited:
			if pool, err := Connect(); err == nil { // it found another engine, which by now answers
				return pool, nil
			}
			return nil, fmt.Errorf("dockerd ended at once (%v); the end of %s:\n%s", err, logFile, tail(logFile))
		case <-deadline.C:
			return nil, fmt.Errorf("dockerd does not answer after %v; the end of %s:\n%s", startTimeout, logFile, tail(logFile))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Stop ends the engine if we started it and it has no container, running or not, and waits for its end. It reports
// whether it did.
func Stop(ctx context.Context, c cache.Dir) (bool, error) {
	pid, ours := started(c)
	if !ours {
		return false, nil
	}
	pool, err := Connect()
	if err != nil {
		return false, nil
	}
	left, err := pool.Client.ListContainers(docker.ListContainersOptions{All: true})
	if err != nil || len(left) > 0 {
		return false, err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return false, err
	}
	for running(pid) {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, os.Remove(c.Path("dockerd.pid"))
}

// started returns the process id of a living dockerd that we started.
func started(c cache.Dir) (int, bool) {
	text, err := os.ReadFile(c.Path("dockerd.pid"))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil && running(pid)
}

// running says whether pid is a dockerd. The name is looked at because process ids are used again. A zombie has no
// executable; one that was upgraded under its process has "dockerd (deleted)".
func running(pid int) bool {
	exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	name, _, _ := strings.Cut(filepath.Base(exe), " ")
	return err == nil && name == "dockerd"
}

// tail returns the last 2 KiB of a file.
func tail(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2048):])
}

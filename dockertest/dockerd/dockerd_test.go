package dockerd

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/cache"
)

// A process id in a file may by now be anybody's: it must not be signalled for that.
func TestOnlyALivingDockerdIsOurs(t *testing.T) {
	c := cache.Dir(t.TempDir())
	for name, text := range map[string]string{
		"another program": strconv.Itoa(os.Getpid()), "nobody": "999999999", "garbage": "x", "empty": "",
	} {
		if err := os.WriteFile(c.Path("dockerd.pid"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if pid, ours := started(c); ours {
			t.Errorf("%s: process %d is taken for our dockerd", name, pid)
		}
		if stopped, err := Stop(t.Context(), c); stopped || err != nil {
			t.Errorf("%s: Stop: %v, %v", name, stopped, err)
		}
	}
}

func TestAnEngineThatWasNamedIsNotReplaced(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "nobody.sock"))
	_, err := Ensure(t.Context(), cache.Dir(t.TempDir()), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "DOCKER_HOST") {
		t.Errorf("%v; want DOCKER_HOST named", err)
	}
}

// command puts a shell script on the PATH in place of a program.
func command(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// Where the package's service, or somebody else, has an engine started, ours ends at once, and that is no failure.
func TestAnEngineThatCameFirstIsUsed(t *testing.T) {
	command(t, "dockerd", "echo another daemon has my pid file; exit 1")
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	engine := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "OK") }))
	engine.Listener.Close()
	engine.Listener = l
	engine.Start()
	defer engine.Close()
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	c := cache.Dir(t.TempDir())
	if _, err := start(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	if pid, ours := started(c); ours {
		t.Errorf("process %d is taken for our dockerd", pid)
	}
}

// apt-get refuses to run twice at a time, and maven and debootstrap are found missing at the same time.
func TestInstallsOneAfterTheOther(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may install")
	}
	lock := filepath.Join(t.TempDir(), "lock")
	command(t, "apt-get", "mkdir "+lock+" || { echo 'Could not get lock'; exit 100; }; sleep 0.05; rmdir "+lock)
	var group errgroup.Group
	for _, name := range []string{"maven", "debootstrap"} {
		group.Go(func() error { return Install(t.Context(), slog.New(slog.DiscardHandler), name) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(strings.Repeat("a", 5000)+"end"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := tail(name); len(got) != 2048 || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes", len(got))
	}
}

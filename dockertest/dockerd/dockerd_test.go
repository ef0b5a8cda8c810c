package dockerd

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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

func TestTail(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(strings.Repeat("a", 5000)+"end"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := tail(name); len(got) != 2048 || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes", len(got))
	}
}

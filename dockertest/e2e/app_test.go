//go:build hadoop

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

var onlyID = regexp.MustCompile(`^application_[0-9]+_[0-9]+\n$`)

// app is an application that a test submitted.
type app struct {
	id   string
	edge dockertest.Edge
}

// submit runs yarnd submit and kills the application at the test's end.
func submit(t *testing.T, e dockertest.Edge, args ...string) app {
	t.Helper()
	r := e.Run(t, append([]string{"yarnd", "submit"}, args...)...)
	if id := strings.TrimSpace(r.Stdout); id != "" {
		t.Cleanup(func() {
			if r := e.Run(t, "yarnd", "kill", id); r.Code != 0 {
				t.Errorf("cleaning up: %v", r)
			}
		})
	}
	if r.Code != 0 {
		t.Fatal(r)
	}
	if !onlyID.MatchString(r.Stdout) {
		t.Fatalf("standard output is not just an id: %v", r)
	}
	t.Logf("submit %s took %v\n%s", strings.Join(args, " "), r.Took.Round(time.Millisecond), r.Stderr)
	return app{strings.TrimSpace(r.Stdout), e}
}

// must runs yarnd with the application's id after the verb.
func (a app) must(t *testing.T, verb string, args ...string) string {
	t.Helper()
	return a.edge.Must(t, append([]string{"yarnd", verb, a.id}, args...)...)
}

// status is what yarnd status -o json says.
type status struct {
	State, FinalStatus, Diagnostics string
	Pools                           []struct {
		Name                             string
		Wanted, Asked, Starting, Running int
	}
	Containers []box
	Work       struct{ Workers, Slots int }
}

// box is one container.
type box struct {
	ID, Pool, Node, State string
	Since                 time.Time
}

func (a app) status(t *testing.T) status {
	t.Helper()
	var doc struct{ Items []status }
	text := a.must(t, "status", "-o", "json")
	if err := json.Unmarshal([]byte(text), &doc); err != nil || len(doc.Items) != 1 {
		t.Fatalf("status: %v\n%s", err, text)
	}
	return doc.Items[0]
}

// rmApp is what the ResourceManager's REST API says of an application.
type rmApp struct {
	State, FinalStatus, ApplicationType, Diagnostics, TrackingURL, Queue, User, Name, ApplicationTags string
	RunningContainers                                                                                 int
}

func (a app) rm(t *testing.T) rmApp {
	t.Helper()
	var doc struct{ App rmApp }
	getJSON(t, a.edge.Cluster, a.edge.Cluster.RMWeb()+"/ws/v1/cluster/apps/"+a.id, &doc)
	return doc.App
}

func getJSON(t *testing.T, c *dockertest.Cluster, url string, into any) {
	t.Helper()
	_, body := get(t, c, url)
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v\n%s", url, err, body)
	}
}

func get(t *testing.T, c *dockertest.Cluster, url string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// await fails the test when cond is not true within a time.
func await(t *testing.T, what string, within time.Duration, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(within); !cond(); {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}

var nodes = []string{"nm1", "nm2", "nm3"}

// processes lists what runs for an application, by node: everything whose working
// directory is one of its containers, or that has its id in its environment, as
// what a container starts has wherever it goes.
func (a app) processes(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, n := range nodes {
		list, err := a.edge.Cluster.Output(t.Context(), n, "root", "sh", "-c",
			fmt.Sprintf(`for p in /proc/[0-9]*; do c=$(readlink $p/cwd 2>/dev/null); if case "$c" in *%[1]s*) true;; *) grep -qs %[1]s $p/environ;; esac; then echo "%[2]s ${p#/proc/} $(tr '\0' ' ' <$p/cmdline 2>/dev/null)"; fi; done; true`, a.id, n))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(list), "\n") {
			if line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

// leftNothing fails the test if anything but the cache remains of an ended
// application.
func (a app) leftNothing(t *testing.T) {
	t.Helper()
	var left []string
	await(t, "no process of "+a.id+" on any node", 20*time.Second, func() bool {
		left = a.processes(t)
		return len(left) == 0
	})
	for _, name := range staged(t, a.edge) {
		if strings.Contains(name, a.id) {
			t.Errorf("%s is still staged", name)
		}
	}
	await(t, "no directory of "+a.id+" on any node", 30*time.Second, func() bool {
		for _, n := range nodes {
			const dirs = "ls -d /data/yarn/local/usercache/*/appcache/%[1]s " + layout.SmallDisk + "/local/usercache/*/appcache/%[1]s 2>/dev/null || true"
			left, err := a.edge.Cluster.Output(t.Context(), n, "root", "sh", "-c", fmt.Sprintf(dirs, a.id))
			if err != nil {
				t.Fatal(err)
			}
			if left != "" {
				return false
			}
		}
		return true
	})
}

// staged lists what is in the user's staging root besides the cache.
func staged(t *testing.T, e dockertest.Edge) []string {
	t.Helper()
	r := e.FS(t, "-ls", "-C", ".yarnd")
	var out []string
	for _, line := range strings.Fields(r.Stdout) {
		if !strings.HasSuffix(line, "/cache") {
			out = append(out, line)
		}
	}
	return out
}

// build makes bin/test/NAME of a package of this folder: a program for the nodes.
func build(t *testing.T, pkg, name string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", "../../bin/test/"+name, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
}

// bundle is that program's path on an edge node.
func bundle(name string) string { return "/opt/yarnd/src/bin/test/" + name }

//go:build hadoop

package e2e

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// makeArchive packs one file with these contents on the edge node, and takes what was
// uploaded of it before out of the cache.
func makeArchive(t *testing.T, e dockertest.Edge, name, contents string) {
	t.Helper()
	e.Must(t, "sh", "-c", `d=$(mktemp -d) && mkdir $d/bin && printf %s "$2" > $d/bin/text && yarnd -q env pack $d --to "$1" >/dev/null; r=$?; rm -rf "$d"; exit $r`, "sh", name, contents)
	e.Run(t, "yarnd", "env", "rm", name)
}

// entries lists the URLs in the cache of that archive.
func entries(t *testing.T, e dockertest.Edge, name string) []string {
	t.Helper()
	var doc struct{ Items []struct{ Name, URL string } }
	text := e.Must(t, "yarnd", "env", "list", "-o", "json")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("env list: %v\n%s", err, text)
	}
	var out []string
	for _, x := range doc.Items {
		if x.Name == name {
			out = append(out, x.URL)
		}
	}
	return out
}

// Two submissions that fill one cache entry at once, from two hosts, both run on it.
func TestTwoSubmitsFillOneEntry(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	makeArchive(t, alice, "raced.tar.gz", "raced")
	archive := alice.Must(t, "base64", "raced.tar.gz")
	there := alice.On("edge2")
	if r := there.RunInput(t, archive, "sh", "-c", "base64 -d > raced.tar.gz"); r.Code != 0 {
		t.Fatal(r)
	}
	var wg sync.WaitGroup
	var results [2]dockertest.Result
	for i, e := range []dockertest.Edge{alice, there} {
		wg.Go(func() {
			results[i] = e.Run(t, "yarnd", "submit", "--workers", "1", "--worker-memory", "256MiB", "--env", "raced.tar.gz", "--wait", "workers:1", "--timeout", "3m")
		})
	}
	wg.Wait()
	for _, r := range results {
		a := app{strings.TrimSpace(r.Stdout), alice}
		if a.id != "" {
			t.Cleanup(func() { alice.Run(t, "yarnd", "kill", a.id) })
		}
		if r.Code != 0 {
			t.Fatal(r)
		}
		if got := a.must(t, "exec", "--", "cat", "environment/bin/text"); got != "raced" {
			t.Errorf("%s reads %q", a.id, got)
		}
	}
	if got := entries(t, alice, "raced.tar.gz"); len(got) != 1 {
		t.Errorf("the cache has %q, want one entry", got)
	}
}

// A cache entry whose contents somebody changed is refused, not run.
func TestTamperedEntry(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	makeArchive(t, alice, "tampered.tar.gz", "before")
	url := strings.TrimSpace(alice.Must(t, "yarnd", "env", "push", "tampered.tar.gz"))
	for _, args := range [][]string{{"-rm", url}, {"-cp", "file:///etc/passwd", url}, {"-chmod", "600", url}} {
		if r := alice.FS(t, args...); r.Code != 0 {
			t.Fatal(r)
		}
	}
	before := staged(t, alice)
	r := alice.Run(t, "yarnd", "submit", "--env", "tampered.tar.gz")
	if r.Code != 4 || r.Stdout != "" || !strings.Contains(r.Stderr, url) || !strings.Contains(r.Stderr, "yarnd env rm") {
		t.Errorf("want exit code 4, the entry and the next command: %v", r)
	}
	if after := staged(t, alice); len(after) > len(before) {
		t.Errorf("left behind: %v, before %v", after, before)
	}
	// What the error says to do heals it.
	alice.Must(t, "yarnd", "env", "rm", url)
	if again := strings.TrimSpace(alice.Must(t, "yarnd", "env", "push", "tampered.tar.gz")); again != url {
		t.Errorf("pushed to %s, before to %s", again, url)
	}
	alice.Must(t, "yarnd", "env", "rm", url)
}

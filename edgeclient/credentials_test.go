package edgeclient

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd/identity"
)

// Of many that make the same file at once one does, and all read the same.
func TestMakeCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "credentials")
	var wg sync.WaitGroup
	var mu sync.Mutex
	makers := 0
	for range 8 {
		wg.Go(func() {
			made, err := MakeCredentials(path)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if made {
				makers++
			}
		})
	}
	wg.Wait()
	if makers != 1 {
		t.Errorf("%d have made it", makers)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("left %v, %v", list, err)
	}
	a, err := ReadCredentials(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadCredentials(path)
	if err != nil {
		t.Fatal(err)
	}
	one, err := a.Identity(identity.Scheduler, "scheduler")
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Identity(identity.Worker, "node1-x")
	if err != nil {
		t.Fatal(err)
	}
	if !one.CA().Equal(two.CA()) || one.Subject().App != a.Cluster || two.Subject() != (identity.Subject{App: b.Cluster, Role: identity.Worker, Name: "node1-x"}) {
		t.Errorf("%v and %v do not belong together", one.Subject(), two.Subject())
	}
}

// What is no file is refused at once: a link to nothing is not made into one, and
// nobody waits for the other end of a FIFO.
func TestCredentialsThatAreNoFile(t *testing.T) {
	dir := t.TempDir()
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.Symlink("nothing", link), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	if made, err := MakeCredentials(link); made || CodeOf(err) != Usage || !strings.Contains(err.Error(), "a link to nothing") {
		t.Errorf("link: %v, %v", made, err)
	}
	for _, path := range []string{fifo, dir} {
		if _, err := ReadCredentials(path); CodeOf(err) != Usage || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestParseCredentials(t *testing.T) {
	seed := strings.Repeat("1f", identity.SeedSize)
	for text, want := range map[string]string{
		"cluster hand_00ff\nseed " + seed:                                "",
		"# a comment\r\n\n seed  " + seed + " \r\ncluster hand_00ff\r\n": "",
		"":                           "a seed is",
		"cluster hand_00ff\nseed 1f": "a seed is",
		"cluster hand_00ff\nseed " + strings.Repeat("0", 64): "seed is empty",
		"seed " + seed: "names no cluster",
		"cluster application_1_0001\nseed " + seed:                      "names no cluster",
		"cluster hand_00ff\ncluster hand_00ff\nseed " + seed:            "line 2 says cluster again",
		"cluster hand_00ff\nseed " + seed + "\npassword x":              "line 3 says neither",
		"-----BEGIN PRIVATE KEY-----":                                   "line 1 says neither",
		"cluster hand_00ff\nseed " + seed + strings.Repeat("\n", 4<<10): "more than 4096 bytes",
	} {
		c, err := parseCredentials([]byte(text))
		switch {
		case want == "" && (err != nil || c.Cluster != "hand_00ff"):
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		case err != nil && strings.Contains(err.Error(), seed):
			t.Errorf("the error quotes the seed: %v", err)
		}
	}
}

func TestReadCredentials(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	if _, err := ReadCredentials(path); CodeOf(err) != NotFound {
		t.Errorf("absent: %v", err)
	}
	if _, err := ReadCredentials(dir); CodeOf(err) != Usage {
		t.Errorf("a directory: %v", err)
	}
	if _, err := MakeCredentials(path); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]Code{0o600: OK, 0o400: OK, 0o640: Auth, 0o604: Auth, 0o620: Auth, 0o666: Auth} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCredentials(path); CodeOf(err) != want {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:bytes.IndexByte(text, '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCredentials(path); CodeOf(err) != Auth {
		t.Errorf("half of it: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"node1:8786": "node1:8786", "tcp://node1:8786": "node1:8786", "10.0.0.1:1": "10.0.0.1:1", "[2001:db8::1]:65535": "[2001:db8::1]:65535",
		"tcp://name:80": "name:80", "tcp://[fe80::1%eth0]:80": "[fe80::1%eth0]:80",
	} {
		if got, err := ParseAddress(text); err != nil || got != want || !IsAddress(text) || AddressID(got) != "tcp://"+want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "node1", ":80", "node1:", "node1:0", "node1:65536", "node1:-1", "node1:http", "http://node1:80", "a b:80", "2001:db8::1:80", "tcp://", "node1:80/x"} {
		if got, err := ParseAddress(text); CodeOf(err) != Usage || IsAddress(text) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, app := range []string{"last", "current", "name:80", "name:x", "0042", "local_1_0001", "application_1700000000000_0001"} {
		if IsAddress(app) {
			t.Errorf("%q is an address", app)
		}
	}
}

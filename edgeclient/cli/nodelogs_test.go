package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
)

// What a node does not show to the application master, nor to us, is told with what to do, also where logs are followed, and what
// others show is shown.
func TestLogsThatNodesDoNotShow(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster is started")
	}
	cluster, err := minicluster.Start(t.Context(), minicluster.Options{Dir: t.TempDir(), Users: []string{"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	home := t.TempDir()
	alice := person{t, "alice", append(os.Environ(), "HOME="+home, "YARND_HOME="+home+"/.yarnd", "HADOOP_CONF_DIR="+cluster.ConfDir(), "HADOOP_USER_NAME=alice")}
	app := strings.TrimSpace(alice.must("submit", "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1"))
	const worker, said = "_000003", "connected to the scheduler"
	for _, x := range []struct {
		what           string
		master, client int // what each is answered
		code           int
		says           string
	}{
		{"to everybody", 0, 0, 0, ""},
		{"to us", http.StatusUnauthorized, 0, 0, ""},
		{"without a ticket", http.StatusUnauthorized, http.StatusUnauthorized, 4, "it shows logs to nobody without a Kerberos ticket. Run kinit"},
		{"and fails us", http.StatusUnauthorized, http.StatusBadGateway, 6, "answers 502 Bad Gateway: Bad Gateway; the application master: "},
		{"and fails everybody", http.StatusBadGateway, http.StatusBadGateway, 6, "answers 502 Bad Gateway: Bad Gateway. Try once more"},
	} {
		var asked atomic.Int32
		cluster.Nodes[0].SetFaults(nm.Faults{Web: func(r *http.Request) int {
			asked.Add(1)
			if r.URL.Query().Get("size") == "65536" { // an application master's piece of a log
				return x.master
			}
			return x.client
		}})
		r := alice.yarnd("logs", app, "--container", worker, "--file", "stderr")
		if r.code != x.code || strings.Contains(r.out, said) != (x.code == 0) || !strings.Contains(r.err, x.says) || asked.Load() == 0 {
			t.Errorf("%s: exit code %d after %d requests\n%s%s", x.what, r.code, asked.Load(), r.out, r.err)
		}
		if all := alice.yarnd("logs", app); all.code != x.code || !strings.Contains(all.out, "msg=registered") {
			t.Errorf("%s: what the application master reads itself is not shown: %+v", x.what, all)
		}
	}
	cluster.Nodes[0].SetFaults(nm.Faults{Web: func(*http.Request) int { return http.StatusUnauthorized }})
	if r := alice.yarnd("logs", app, "-f", "--container", worker); r.code != 4 || !strings.Contains(r.err, "Run kinit") {
		t.Errorf("following: %+v", r)
	}
	alice.must("kill", app)

	program := filepath.Join(home, "fails.sh")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho no such day >&2\nexit 3\n"), 0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	if r := alice.yarnd("submit", "--driver-memory", "256MiB", "--wait", "finished", program); r.code != 7 || !strings.Contains(r.err, "exited with code 3: ") || !strings.Contains(r.err, "no such day") {
		t.Errorf("a program's last words are not those that the NodeManager quotes: %+v", r)
	}
}

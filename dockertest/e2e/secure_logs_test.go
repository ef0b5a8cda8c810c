//go:build hadoop

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// NodeManagers show logs to nobody without a ticket: where the application master has none, whoever asks for logs reads them by
// his own, as far as the application's access lists let him. With a keytab the application master has one, and reads them for those
// that have none, such as its program. So it is told whether it finds the krb5.conf that --am-env names.
func TestSecureLogs(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice, bob, svc := c.Edge("alice").Ticketed(t), c.Edge("bob").Ticketed(t), c.Edge("svc").Ticketed(t)
	alice.Must(t, "sh", "-c", `cat > reads-logs <<'END' && chmod +x reads-logs
#!/bin/sh
yarnd wait "$YARND_APP" --for workers:1
yarnd logs "$YARND_APP" >seen 2>&1
echo "without a ticket it ended with $?"
cat seen
sleep 600
END`)
	args := []string{"--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1", "--view-acl", "bob", "reads-logs"}
	const said = "connected to the scheduler" // by a worker
	for what, x := range map[string]struct {
		app  app
		code string
		sees string
	}{
		"a ticket": {submit(t, alice, args...), "4", "shows logs to nobody without a Kerberos ticket. Run kinit"},
		"a keytab": {submit(t, alice, append([]string{"--principal", "alice@EXAMPLE.TEST", "--keytab", layout.KeytabDir + "/alice.keytab"}, args...)...), "0", said},
		"a keytab without krb5.conf": {submit(t, alice, append([]string{"--principal", "alice@EXAMPLE.TEST", "--keytab", layout.KeytabDir + "/alice.keytab",
			"--am-env", "KRB5_CONFIG=/none/krb5.conf"}, args...)...), "4", "there is no /none/krb5.conf"},
	} {
		t.Run(what, func(t *testing.T) {
			a := x.app
			worker := a.ofPool(t, "worker", "running")[0]
			at := "http://" + worker.Node + ":8042/ws/v1/node/containers/" + worker.ID + "/logs/stderr"
			if r := alice.Run(t, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", at); r.Stdout != "401" {
				t.Fatalf("this cluster's NodeManagers show logs to everybody: %v", r)
			}
			for _, who := range []dockertest.Edge{alice, bob} {
				r := who.Run(t, "yarnd", "logs", a.id)
				if r.Code != 0 || !strings.Contains(r.Stdout, "==> "+worker.ID+" stderr on ") || !strings.Contains(r.Stdout, said) {
					t.Errorf("%s: %v", who.User, r)
				}
			}
			if r := svc.Run(t, "yarnd", "logs", a.id); r.Code != 4 || r.Stdout != "" {
				t.Errorf("svc: %v", r)
			}
			if r := alice.Run(t, "timeout", "-s", "INT", "10", "yarnd", "logs", a.id, "-f", "--container", worker.ID); !strings.Contains(r.Stdout, said) {
				t.Errorf("following: %v", r)
			}
			var out string
			await(t, "what the program reads", time.Minute, func() bool {
				out = alice.Run(t, "yarnd", "logs", a.id, "--container", a.ofPool(t, "driver", "running")[0].ID, "--file", "stdout").Stdout
				return strings.Contains(out, "without a ticket it ended with ")
			})
			if !strings.Contains(out, "without a ticket it ended with "+x.code+"\n") || !strings.Contains(out, x.sees) {
				t.Errorf("the program reads\n%s", out)
			}
		})
	}
}

//go:build hadoop

package dockertest_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// ticketed is an edge node as a user who has taken a ticket by the keytab. The test's end destroys it.
func ticketed(t *testing.T, c *dockertest.Cluster, user string) dockertest.Edge {
	t.Helper()
	return c.Edge(user).Ticketed(t)
}

func TestSecureCluster(t *testing.T) {
	c := dockertest.Running(t, "secure")
	t.Run("a ticket opens HDFS, none does not", func(t *testing.T) {
		alice := c.Edge("alice").Ticketless(t)
		refused(t, alice.FS(t, "-ls", "/user/alice"), "Client cannot authenticate via:[TOKEN, KERBEROS]")
		alice = ticketed(t, c, "alice")
		if out := alice.Must(t, "klist"); !strings.Contains(out, "Default principal: alice@EXAMPLE.TEST") {
			t.Errorf("klist: %s", out)
		}
		alice.Must(t, "kinit", "-R") // tickets can be renewed
		out := alice.FS(t, "-ls", "/user")
		for user := range map[string]bool{"alice": true, "bob": true, "svc": true} {
			if !regexp.MustCompile(`drwxr-xr-x +- ` + user + ` +` + user + ` .* /user/` + user + `\n`).MatchString(out.Stdout) {
				t.Errorf("no home of %s, its own: %v", user, out)
			}
		}
		alice.Must(t, "kdestroy")
		refused(t, alice.FS(t, "-ls", "/user/alice"), "Client cannot authenticate via:[TOKEN, KERBEROS]")
	})
	t.Run("a user stays out of another's folder", func(t *testing.T) {
		alice, bob := ticketed(t, c, "alice"), ticketed(t, c, "bob")
		alice.FS(t, "-rm", "-r", "-f", "-skipTrash", "mine") // of a run that was cut short
		for _, args := range [][]string{{"-mkdir", "mine"}, {"-chmod", "700", "mine"}} {
			if r := alice.FS(t, args...); r.Code != 0 {
				t.Fatal(r)
			}
		}
		t.Cleanup(func() { alice.FS(t, "-rm", "-r", "-f", "-skipTrash", "/user/alice/mine") })
		if r := alice.RunInput(t, "secret\n", "hadoop-java", "org.apache.hadoop.fs.FsShell", "-put", "-", "mine/x"); r.Code != 0 {
			t.Fatal(r)
		}
		if r := alice.FS(t, "-cat", "mine/x"); r.Stdout != "secret\n" { // through a DataNode
			t.Error(r)
		}
		refused(t, bob.FS(t, "-cat", "/user/alice/mine/x"), "Permission denied")
		refused(t, bob.FS(t, "-touchz", "/user/alice/theirs"), "Permission denied")
	})
	t.Run("a keytab is its owner's alone, on both edge nodes", func(t *testing.T) {
		for _, node := range []string{"edge1", "edge2"} {
			for _, user := range layout.Users {
				keytab := layout.KeytabDir + "/" + user + ".keytab"
				if out := c.Edge(user).On(node).Must(t, "klist", "-k", keytab); !strings.Contains(out, user+"@EXAMPLE.TEST") {
					t.Errorf("%s on %s: %s", user, node, out)
				}
				other := map[string]string{"alice": "bob", "bob": "svc", "svc": "alice"}[user]
				if r := c.Edge(other).On(node).Run(t, "cat", keytab); r.Code == 0 {
					t.Errorf("%s reads the keytab of %s on %s", other, user, node)
				}
			}
			c.Edge("alice").On(node).Must(t, "sh", "-c", `[ "$USER" = alice ]`)
		}
	})
	t.Run("WebHDFS believes a ticket, and no name", func(t *testing.T) {
		alice := ticketed(t, c, "alice")
		list := func(options ...string) string {
			url := "http://nn.example.test:9870/webhdfs/v1/user/alice?op=GETFILESTATUS&user.name=alice"
			return alice.Must(t, append([]string{"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url}, options...)...)
		}
		if code := list("--negotiate", "-u", ":"); code != "200" {
			t.Errorf("with a ticket: status %s", code)
		}
		if code := list(); code != "401" {
			t.Errorf("with a name: status %s", code)
		}
	})
}

// What a test of this machine needs to be a client: the KDC by its address, keys, and names of hosts.
func TestSecureClusterFromOutside(t *testing.T) {
	c := dockertest.Running(t, "secure")
	key, err := c.Keytab(t.Context(), "alice")
	if err != nil || !bytes.HasPrefix(key, []byte{5, 2}) || !bytes.Contains(key, []byte("EXAMPLE.TEST")) {
		t.Errorf("alice's keytab: %q, %v", key, err)
	}
	if _, err := c.Keytab(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a keytab that does not exist: %v", err)
	}
	kdc := regexp.MustCompile(`(?m)^ +kdc = (\S+)$`).FindSubmatch(c.Krb5Conf())
	if kdc == nil {
		t.Fatalf("no KDC in\n%s", c.Krb5Conf())
	}
	for _, address := range []string{string(kdc[1]), "nn.example.test:8020", "nn:8020", "rm.example.test:8032"} {
		conn, err := c.Dial(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("dial %s: %v", address, err)
			continue
		}
		conn.Close()
	}
}

// Containers start, run with the owner's tokens, and leave their logs. Without a SecureIOUtils that does without Hadoop's native
// library every NodeManager would end with the first application.
func TestSecureApplication(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice, bob := ticketed(t, c, "alice"), ticketed(t, c, "bob")
	r := alice.Run(t, "sh", "-c", `hadoop-java org.apache.hadoop.yarn.applications.distributedshell.Client `+
		`-jar /opt/hadoop/lib/hadoop-yarn-applications-distributedshell-*.jar -num_containers 1 -container_memory 128 -master_memory 768 `+
		`-shell_command 'echo container of $(whoami)'`)
	id := regexp.MustCompile(`application_\d+_\d+`).FindString(r.Stdout + r.Stderr)
	if r.Code != 0 || id == "" {
		t.Fatal(r)
	}
	var last dockertest.Result
	const want = "container of yarn\n"
	for deadline := time.Now().Add(2 * time.Minute); ; { // nodes upload after the application's end
		if last = alice.Logs(t, id, "-log_files", "stdout"); strings.Contains(last.Stdout, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %q in the logs of %s: %v", want, id, last)
		}
	}
	if r := bob.Logs(t, id, "-appOwner", "alice"); strings.Contains(r.Stdout, want) {
		t.Errorf("bob reads alice's logs: %v", r)
	}
	status := func(e dockertest.Edge) dockertest.Result {
		return e.Run(t, "hadoop-java", "org.apache.hadoop.yarn.client.cli.ApplicationCLI", "application", "-status", id)
	}
	if r := status(alice); r.Code != 0 || !strings.Contains(r.Stdout, "Final-State : SUCCEEDED") || !strings.Contains(r.Stdout, "AM Host : nm") {
		t.Error(r)
	}
	if r := status(bob); r.Code != 0 || !strings.Contains(r.Stdout, "AM Host : N/A") { // YARN tells others that it exists
		t.Errorf("without VIEW_APP: %v", r)
	}
	if err := c.Health(t.Context()); err != nil {
		t.Errorf("the application has damaged the cluster: %v", err)
	}
}

// refused says whether a command failed with that message.
func refused(t *testing.T, r dockertest.Result, message string) {
	t.Helper()
	if r.Code == 0 || !strings.Contains(r.Stdout+r.Stderr, message) {
		t.Errorf("want %q: %v", message, r)
	}
}

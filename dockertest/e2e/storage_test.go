//go:build hadoop

package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// superuser runs a class of Hadoop's as the one whom HDFS obeys.
func superuser(t *testing.T, c *dockertest.Cluster, class string, args ...string) string {
	t.Helper()
	// Not the test's context: cleaning up comes after its end.
	out, err := c.Output(context.Background(), "nn", "hdfs", append([]string{"hadoop-java", "-Dhadoop.root.logger=ERROR,console", class}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A quota that is exceeded in the middle of an upload is named, and what was written
// until then is gone.
func TestQuotaExceeded(t *testing.T) {
	c := dockertest.Running(t, "simple")
	bob := c.Edge("bob")
	const admin = "org.apache.hadoop.hdfs.tools.DFSAdmin"
	superuser(t, c, admin, "-setSpaceQuota", "400m", "/user/bob")
	t.Cleanup(func() { superuser(t, c, admin, "-clrSpaceQuota", "/user/bob") })
	before := bob.FS(t, "-ls", "-R", ".").Stdout
	// The NameNode counts a whole block for each replica of what is being written: the
	// second block does not fit.
	bob.Must(t, "sh", "-c", "head -c 300000000 /dev/urandom > noise")
	r := bob.Run(t, "yarnd", "submit", "--workers", "1", "--files", "noise")
	if r.Code != 5 || r.Stdout != "" || !strings.Contains(r.Stderr, "quota of /user/bob is exceeded") || !strings.Contains(r.Stderr, "yarnd env gc") {
		t.Errorf("want exit code 5, the quota and the next command: %v", r)
	}
	if after := bob.FS(t, "-ls", "-R", ".").Stdout; strings.Contains(after, "noise") || strings.Contains(after, "application_") && !strings.Contains(before, "application_") {
		t.Errorf("left behind:\n%s", after)
	}
	bob.Must(t, "rm", "noise")
}

// Into an erasure-coded directory yarnd cannot write. It says so before it uploads
// anything, and what it says to do helps.
func TestErasureCodedHome(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	const ec, policy, prefix = "org.apache.hadoop.hdfs.tools.ECAdmin", "XOR-2-1-1024k", "/coded"
	superuser(t, c, ec, "-enablePolicy", "-policy", policy)
	superuser(t, c, "org.apache.hadoop.fs.FsShell", "-mkdir", "-p", prefix+"/alice")
	t.Cleanup(func() {
		superuser(t, c, "org.apache.hadoop.fs.FsShell", "-rm", "-r", "-skipTrash", prefix)
		superuser(t, c, ec, "-disablePolicy", "-policy", policy)
	})
	superuser(t, c, "org.apache.hadoop.fs.FsShell", "-chown", "-R", "alice", prefix+"/alice")
	superuser(t, c, ec, "-setPolicy", "-path", prefix, "-policy", policy)

	home := "dfs.user.home.dir.prefix=" + prefix
	r := alice.Run(t, "yarnd", "submit", "--workers", "1", "-D", home)
	if r.Code != 5 || r.Stdout != "" || !strings.Contains(r.Stderr, policy) || !strings.Contains(r.Stderr, "hdfs ec -setPolicy -replicate -path /coded/alice/.yarnd") {
		t.Fatalf("want exit code 5, the policy and the next command: %v", r)
	}
	if r := alice.FS(t, "-ls", "-R", prefix+"/alice"); r.Stdout != "" {
		t.Errorf("left behind: %v", r)
	}

	superuser(t, c, "org.apache.hadoop.fs.FsShell", "-mkdir", "-p", prefix+"/alice/.yarnd")
	superuser(t, c, "org.apache.hadoop.fs.FsShell", "-chown", "-R", "alice", prefix+"/alice")
	superuser(t, c, "org.apache.hadoop.fs.FsShell", "-chmod", "700", prefix+"/alice/.yarnd")
	superuser(t, c, ec, "-setPolicy", "-replicate", "-path", prefix+"/alice/.yarnd")
	a := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "-D", home, "--wait", "workers:1")
	alice.Must(t, "yarnd", "kill", a.id, "-D", home)
	a.leftNothing(t)
}

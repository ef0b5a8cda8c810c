//go:build hadoop && matrix

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// zone is an encryption zone of alice's, with a file in it.
type zone struct{ file, text string }

func encrypted(t *testing.T, c *dockertest.Cluster, alice dockertest.Edge) zone {
	t.Helper()
	name := fmt.Sprint("zone-", time.Now().UnixNano())
	dir := "/user/alice/" + name
	alice.Must(t, "hadoop-java", "org.apache.hadoop.crypto.key.KeyShell", "create", name, "-provider", c.Composition().KMSURI())
	alice.FS(t, "-mkdir", dir)
	t.Cleanup(func() { alice.FS(t, "-rm", "-r", "-skipTrash", dir) })
	nn := c.Composition().With(layout.NameNode)[0]
	out, err := c.Output(t.Context(), nn.Name, layout.NameNode.User, layout.BinDir+"/with-ticket", layout.NameNode.Keytab(), c.Composition().Principal(nn, layout.NameNode),
		"hadoop-java", "org.apache.hadoop.hdfs.tools.CryptoAdmin", "-createZone", "-keyName", name, "-path", dir)
	if err != nil {
		t.Fatal(err, out)
	}
	z := zone{dir + "/file", "kept from others " + name + "\n"}
	if r := alice.RunInput(t, z.text, "sh", "-c", fsShell+" -put - "+z.file); r.Code != 0 {
		t.Fatal(r)
	}
	if raw, err := c.Output(t.Context(), nn.Name, layout.NameNode.User, layout.BinDir+"/with-ticket", layout.NameNode.Keytab(), c.Composition().Principal(nn, layout.NameNode),
		"hadoop-java", "org.apache.hadoop.fs.FsShell", "-cat", "/.reserved/raw"+z.file); err != nil || strings.Contains(raw, "kept from others") || len(raw) != len(z.text) {
		t.Errorf("what DataNodes have is not encrypted: %q, %v", raw, err)
	}
	return z
}

// cat is what hdfs dfs -cat prints in a container of the application, where there is no ticket.
func (z zone) cat(t *testing.T, a app) dockertest.Result {
	t.Helper()
	return a.edge.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", "if klist -s; then echo a ticket is here; fi; "+layout.BinDir+"/hadoop-java org.apache.hadoop.fs.FsShell -cat "+z.file)
}

// A command on a worker reads a file in an encryption zone by tokens alone, and without the KMS's it cannot. Tokens end with the
// application; with a keytab its master gets them too; a KMS that is down is told at submit.
func TestMatrixEncryptionZone(t *testing.T) {
	c := dockertest.Exclusive(t, "secure-kms")
	alice := c.Edge("alice").Ticketed(t)
	z := encrypted(t, c, alice)
	cancelled := func() string { // tokens that the ResourceManager might renew
		log, _ := c.Output(t.Context(), "kms", "", "sh", "-c", "grep -c 'Token cancellation requested for identifier.*owner=alice, renewer=yarn' "+layout.LogDir+"/kms.log; true")
		return strings.TrimSpace(log)
	}
	args := []string{"--workers", "1", "--worker-memory", "1GiB", "--wait", "workers:1"}

	a := submit(t, alice, args...)
	if r := z.cat(t, a); r.Code != 0 || r.Stdout != z.text {
		t.Errorf("by tokens: %v", r)
	}
	without := `cp "$HADOOP_TOKEN_FILE_LOCATION" some && ` + layout.BinDir + "/hadoop-java org.apache.hadoop.security.token.DtUtilShell remove -alias " + c.Composition().KMSURI() +
		" some >&2 && HADOOP_TOKEN_FILE_LOCATION=$PWD/some " + layout.BinDir + "/hadoop-java org.apache.hadoop.fs.FsShell -cat " + z.file
	if r := alice.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", without); r.Code == 0 || r.Stdout != "" || !strings.Contains(r.Stderr, "kms.example.test") {
		t.Errorf("by HDFS's token alone: %v", r)
	} else {
		t.Log(r)
	}
	// What it has is the owner's alone, in a file of its own, and no secret of the container's.
	mine := a.edge.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", `stat -c %a "$HADOOP_TOKEN_FILE_LOCATION"; grep -c -a -e yarnd "$HADOOP_TOKEN_FILE_LOCATION"; grep -o -a kms-dt "$HADOOP_TOKEN_FILE_LOCATION"`)
	if mine.Stdout != "600\n0\nkms-dt\n" {
		t.Errorf("a command's tokens: %v", mine)
	}
	if r := alice.Run(t, "yarnd", "renew", a.id); r.Code != 0 {
		t.Error(r)
	}
	before := cancelled()
	a.must(t, "kill", "--graceful")
	await(t, "its token is cancelled with the application", time.Minute, func() bool { return cancelled() != before })

	none := submit(t, alice, append(args, "-D", "dfs.client.ignore.namenode.default.kms.uri=true")...)
	r := z.cat(t, none)
	if r.Code == 0 || r.Stdout != "" || !strings.Contains(r.Stderr, "No KeyProvider is configured") { // the setting is the application's
		t.Errorf("without any KMS: %v", r)
	}
	none.must(t, "kill")

	kept := submit(t, alice, append(args, "--principal", "alice@EXAMPLE.TEST", "--keytab", layout.KeytabDir+"/alice.keytab")...)
	if tokens := kept.tokens(t); !tokens.Renews {
		t.Errorf("%+v", tokens)
	}
	if r := z.cat(t, kept); r.Code != 0 || r.Stdout != z.text {
		t.Errorf("by tokens that the application master got: %v", r)
	}
	listed := alice.Run(t, "yarnd", "exec", kept.id, "--", "sh", "-c", layout.BinDir+`/hadoop-java org.apache.hadoop.security.token.DtUtilShell print "$HADOOP_TOKEN_FILE_LOCATION"`)
	for line := range strings.SplitSeq(listed.Stdout, "\n") {
		if strings.Contains(line, "kms-dt") && strings.Contains(line, "yarn") {
			t.Errorf("the application master's has the ResourceManager for its renewer: %s", line)
		}
	}
	if !strings.Contains(listed.Stdout, "kms-dt") {
		t.Error(listed)
	}
	kept.must(t, "kill")

	if err := c.StopDaemon(t.Context(), "kms", layout.KMS.Name); err != nil {
		t.Fatal(err)
	}
	r = alice.Run(t, "yarnd", "submit", "--workers", "1")
	if r.Code != 6 || r.Stdout != "" || !strings.Contains(r.Stderr, "KMS http://kms.example.test:9600/kms: it does not answer") || !strings.Contains(r.Stderr, "See whether the KMS runs") {
		t.Errorf("a KMS that is down: %v", r)
	}
	t.Log(r.Stderr)
	if left := staged(t, alice); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

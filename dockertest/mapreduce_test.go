//go:build hadoop

package dockertest_test

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

func TestMapReduceWordCount(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	const dir = "/user/alice/wordcount-test"
	alice.FS(t, "-rm", "-r", "-f", "-skipTrash", dir) // of a run that was cut short
	t.Cleanup(func() { alice.FS(t, "-rm", "-r", "-f", "-skipTrash", dir) })
	if r := alice.FS(t, "-mkdir", "-p", dir+"/in"); r.Code != 0 {
		t.Fatal(r)
	}
	text := strings.Repeat("to be or not to be\n", 100)
	if r := alice.RunInput(t, text, "hadoop-java", "org.apache.hadoop.fs.FsShell", "-put", "-", dir+"/in/text"); r.Code != 0 {
		t.Fatal(r)
	}
	r := alice.Run(t, "sh", "-c", "hadoop-java org.apache.hadoop.util.RunJar /opt/hadoop/lib/hadoop-mapreduce-examples-*.jar wordcount "+dir+"/in "+dir+"/out")
	if r.Code != 0 {
		t.Fatal(r)
	}
	t.Logf("wordcount took %v from the client's start", r.Took)
	got := alice.FS(t, "-cat", dir+"/out/part-r-00000")
	if want := "be\t200\nnot\t100\nor\t100\nto\t200\n"; got.Stdout != want {
		t.Errorf("%v\nwant %q", got, want)
	}
}

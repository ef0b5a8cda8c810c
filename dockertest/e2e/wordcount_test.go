//go:build hadoop

package e2e

import (
	"archive/tar"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// corpus is the directory in HDFS that holds the text, and reference what
// MapReduce made of it; both are kept for the next run.
const (
	corpus    = "/user/alice/corpus"
	reference = "/user/alice/corpus-by-mapreduce"
)

// prepare puts Go's source tree into HDFS in files of some MB, with blocks small
// enough that there are dozens, and lets MapReduce count it.
func prepare(t *testing.T, alice dockertest.Edge) {
	t.Helper()
	if r := alice.Run(t, "sh", "-c", "test -e /tmp/corpus/part-001 && hadoop-java org.apache.hadoop.fs.FsShell -test -e "+reference+"/_SUCCESS"); r.Code == 0 {
		return
	}
	alice.FS(t, "-rm", "-r", "-f", "-skipTrash", corpus, reference)
	alice.Must(t, "sh", "-c", "rm -rf /tmp/corpus && mkdir /tmp/corpus")
	pourGo(t, alice, "split -C 8m -d -a 3 - /tmp/corpus/part-")
	alice.Must(t, "sh", "-c", strange)
	if r := alice.FS(t, "-D", "dfs.blocksize=4194304", "-put", "/tmp/corpus", corpus); r.Code != 0 {
		t.Fatal(r)
	}
	mapReduce(t, alice, inOneProcess, corpus, reference)
}

// pourGo has a shell's command read all of Go's source tree, one file after the other.
func pourGo(t *testing.T, alice dockertest.Edge, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := alice.Command(ctx, "", "sh", "-c", "tar -xOf - | "+command)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := packGo(in); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// strange adds files about which MapReduce has its own opinion: what it takes for
// hidden, bytes that are no UTF-8, a byte order mark, other ends of lines,
// compressed ones.
const strange = `cd /tmp/corpus
echo never counted > _hidden; echo neither > .hidden; : > empty
printf 'caf\351 \377\376\200 cut\303' > latin1
printf '\357\273\277mark first\r\nsecond\vword\fform\rcarriage\n\357\273\277 inside' > mark
head -c 300000 part-000 | gzip > packed.gz
python3 -c 'import bz2,sys; sys.stdout.buffer.write(bz2.compress(open("part-000","rb").read(300000)))' > packed.bz2`

// inOneProcess has MapReduce run its tasks in the client, where only the result is of interest: on the cluster each of
// them is a container with a Java of its own, and a hundred of those take minutes.
const inOneProcess = "-D mapreduce.framework.name=local -D mapreduce.local.map.tasks.maximum=2 -D mapreduce.task.io.sort.mb=64"

// mapReduce lets Hadoop's own example count, and tells how long it took.
func mapReduce(t *testing.T, alice dockertest.Edge, options, in, out string) time.Duration {
	t.Helper()
	r := alice.Run(t, "sh", "-c", "hadoop-java org.apache.hadoop.util.RunJar /opt/hadoop/lib/hadoop-mapreduce-examples-*.jar wordcount "+options+" "+in+" "+out)
	if r.Code != 0 {
		t.Fatal(r)
	}
	t.Logf("MapReduce's wordcount of %s took %v", in, r.Took.Round(time.Millisecond))
	return r.Took
}

// packGo writes every file of Go's source tree as one tar stream. What is no text
// is welcome: it makes the words stranger.
func packGo(w interface {
	Write([]byte) (int, error)
	Close() error
}) error {
	defer w.Close()
	tw := tar.NewWriter(w)
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: filepath.ToSlash(path[len(root)+1:]), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		_, err = tw.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

var localShare = regexp.MustCompile(`\(([0-9]+) %\)`)

// equal fails the test unless an output has the same lines as MapReduce's.
func equal(t *testing.T, alice dockertest.Edge, out string) {
	t.Helper()
	sum := func(dir string) string {
		return alice.Must(t, "sh", "-c", "hadoop-java org.apache.hadoop.fs.FsShell -cat '"+dir+"/part-r-*' | LC_ALL=C sort > /tmp/sorted && wc -l < /tmp/sorted && sha256sum < /tmp/sorted")
	}
	ours, theirs := sum(out), sum(reference)
	if ours != theirs || strings.HasPrefix(ours, "0\n") {
		t.Errorf("lines and hash of the sorted output: ours %q, MapReduce's %q", ours, theirs)
	}
	// Each part is sorted by bytes.
	alice.Must(t, "sh", "-c", "hadoop-java org.apache.hadoop.fs.FsShell -cat "+out+"/part-r-00000 | cut -f1 | LC_ALL=C sort -c")
}

func TestWordCountEqualsMapReduce(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	prepare(t, alice)
	a := submit(t, alice, "--workers", "6", "--worker-memory", "512MiB", "--wait", "workers:6")
	const out = "counted"
	alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out)
	t.Cleanup(func() { alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out) })
	local := 0
	for round := range 3 { // the first one ships the program
		if round > 0 {
			alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out)
		}
		r := alice.Run(t, "wordcount", "--app", a.id, corpus, out)
		if r.Code != 0 {
			t.Fatal(r)
		}
		t.Logf("wordcount took %v: %s", r.Took.Round(time.Millisecond), strings.TrimSpace(r.Stderr))
		share := localShare.FindStringSubmatch(r.Stderr)
		if share == nil {
			t.Fatalf("no share of local reads: %v", r)
		}
		n, err := strconv.Atoi(share[1])
		if err != nil {
			t.Fatal(err)
		}
		local += n
	}
	if local < 3*80 { // of one round a busy machine takes more than its part
		t.Errorf("in the mean of three rounds %d %% of the splits were read locally, want at least 80", local/3)
	}
	equal(t, alice, out)
	if r := alice.Run(t, "wordcount", "--app", a.id, corpus, out); r.Code != 2 || !strings.Contains(r.Stderr, "exists") {
		t.Errorf("an output that exists: want exit code 2: %v", r)
	}
}

// Words are counted without any code: a command for each of a list of files. The
// text is plain ASCII, as the commands know of no UTF-8.
func TestWordCountByCommands(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	prepare(t, alice)
	const text, counted = "/user/alice/text", "/user/alice/text-by-mapreduce"
	remove := func() { alice.FS(t, "-rm", "-r", "-f", "-skipTrash", text, counted) }
	remove()
	t.Cleanup(remove)
	alice.Must(t, "sh", "-c", `rm -rf /tmp/text && mkdir /tmp/text && head -c 4000000 /tmp/corpus/part-001 | LC_ALL=C tr -cd '\11\12\15\40-\176' | split -C 1m -d - /tmp/text/part-`)
	if r := alice.FS(t, "-put", "/tmp/text", text); r.Code != 0 {
		t.Fatal(r)
	}
	mapReduce(t, alice, inOneProcess, text, counted)
	a := submit(t, alice, "--workers", "3", "--worker-memory", "768MiB", "--wait", "workers:3")
	alice.Must(t, "sh", "-c", `fs="hadoop-java org.apache.hadoop.fs.FsShell"
$fs -ls -C `+text+` | yarnd map `+a.id+` -- sh -c '/opt/hadoop/bin/hadoop-java org.apache.hadoop.fs.FsShell -cat "$1" | LC_ALL=C tr -s " \t\n\r\f" "\n" | grep . | LC_ALL=C sort | uniq -c' sh {} |
	awk '{n[$2] += $1} END {for (w in n) print w "\t" n[w]}' | LC_ALL=C sort > /tmp/ours
$fs -cat `+counted+`'/part-r-*' | LC_ALL=C sort > /tmp/theirs
test -s /tmp/theirs && cmp /tmp/ours /tmp/theirs`)
}

// A worker is killed -9, then a whole node is stopped, while words are counted:
// the output is the same.
func TestWordCountSurvives(t *testing.T) {
	c := dockertest.Exclusive(t, "simple")
	alice := c.Edge("alice")
	prepare(t, alice)
	a := submit(t, alice, "--workers", "6", "--worker-memory", "512MiB", "--wait", "workers:6")
	for _, x := range []struct {
		name  string
		fault func(t *testing.T)
	}{
		{"worker killed", func(t *testing.T) { killOne(t, a, "worker") }},
		{"node manager's processes stopped", func(t *testing.T) { stopOneNode(t, a) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			const out = "survived"
			alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out)
			t.Cleanup(func() { alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out) })
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := alice.Command(ctx, "", "wordcount", "--app", a.id, "--pause", "700ms", corpus, out)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			await(t, "tasks run", time.Minute, func() bool { return a.tasksDone(t) > 2 })
			x.fault(t)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, stderr.String(), a.must(t, "status", "-o", "wide"))
			}
			t.Log(strings.TrimSpace(stderr.String()))
			equal(t, alice, out)
		})
	}
}

func (a app) tasksDone(t *testing.T) int {
	t.Helper()
	n, below := 0, false
	for _, line := range strings.Split(a.must(t, "status"), "\n") {
		fields := strings.Fields(line)
		if below && len(fields) == 7 { // WORKERS … DONE FAILED
			n, _ = strconv.Atoi(fields[5])
		}
		below = len(fields) == 7 && fields[0] == "WORKERS"
	}
	return n
}

// isRole tells whether a line of processes is a yarnd of that role: NODE PID ./yarnd ROLE.
func isRole(line, role string) bool {
	f := strings.Fields(line)
	return len(f) >= 4 && strings.HasSuffix(f[2], "yarnd") && f[3] == role
}

// killOne kills one process of a role -9.
func killOne(t *testing.T, a app, role string) {
	t.Helper()
	for _, p := range a.processes(t) {
		if !isRole(p, role) {
			continue
		}
		f := strings.Fields(p)
		if _, err := a.edge.Cluster.Output(t.Context(), f[0], "root", "kill", "-9", f[1]); err != nil {
			t.Fatal(err)
		}
		t.Logf("killed -9 %s", p)
		return
	}
	t.Fatalf("no %s found among %v", role, a.processes(t))
}

// stopOneNode stops a node on which only workers run: its data would be away with
// it at replication 1, so the DataNode is left alone and everything of YARN's goes.
func stopOneNode(t *testing.T, a app) {
	t.Helper()
	busy := map[string]bool{}
	for _, c := range a.status(t).Containers {
		if c.Pool != "worker" {
			busy[c.Node] = true
		}
	}
	for _, n := range nodes {
		if busy[n] {
			continue
		}
		if err := a.edge.Cluster.KillDaemon(t.Context(), n, "nodemanager"); err != nil {
			t.Fatal(err)
		}
		for _, p := range a.processes(t) {
			if f := strings.Fields(p); f[0] == n {
				a.edge.Cluster.Output(t.Context(), n, "root", "kill", "-9", f[1])
			}
		}
		t.Logf("killed the node manager of %s and all its containers", n)
		return
	}
	t.Fatal("the application master and the scheduler leave no node free")
}

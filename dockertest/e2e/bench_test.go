//go:build hadoop && bench

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

var runs = flag.Int("runs", 5, "runs of each side")

const benchWorkers = 4

// What a start costs, beside YARN's own distributed shell, and a word count beside
// MapReduce's: both sides in turn, in one run, on one cluster. Printed, not judged.
func TestBenchSubmit(t *testing.T) {
	t.Setenv("HADOOP_JIT", "full")
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	build(t, "./phases", "phases")
	ours := map[string][]float64{}
	var shell []float64
	for i := range *runs + 1 { // the first one uploads, and warms Java's class files
		for phase, ms := range phasesOf(t, alice) {
			if i > 0 {
				ours[phase] = append(ours[phase], ms)
			}
		}
		if ms := distributedShell(t, alice); i > 0 {
			shell = append(shell, ms)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nms after the command was typed, median of %d (least-most)\t\tshare\n", *runs)
	first, last := median(ours["First"]), 0.0
	for _, row := range []struct{ phase, text string }{
		{"ID", "yarnd: application id"}, {"Registered", "yarnd: application master registered"}, {"Scheduler", "yarnd: connected to the scheduler"},
		{"First", "yarnd: first result of a command"}, {"Workers", fmt.Sprintf("yarnd: all %d workers joined", benchWorkers)},
	} {
		m := median(ours[row.phase])
		share := "-" // the workers join beside the first result
		if row.phase != "Workers" {
			share, last = fmt.Sprintf("%.0f %%", 100*(m-last)/first), m
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", row.text, spread(ours[row.phase]), share)
	}
	fmt.Fprintf(w, "YARN's distributed shell: its first container starts\t%s\t\n", spread(shell))
	fmt.Fprintf(w, "yarnd's first result / distributed shell's first container\t%.2f\t\n", first/median(shell))
	w.Flush()
	benchWordCount(t, alice)
}

func phasesOf(t *testing.T, alice dockertest.Edge) map[string]float64 {
	t.Helper()
	out := alice.Must(t, "sh", "-c", fmt.Sprintf("exec %s -since $(date +%%s%%N) -workers %d", bundle("phases"), benchWorkers))
	var p map[string]float64
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

// distributedShell runs one container of YARN's own example and returns the time from
// the client's start to the container's, in ms.
func distributedShell(t *testing.T, alice dockertest.Edge) float64 {
	t.Helper()
	out := alice.Must(t, "bash", "-c", `set -e
began=$(date +%s%N)
hadoop-java org.apache.hadoop.yarn.applications.distributedshell.Client -jar $(ls /opt/hadoop/lib/hadoop-yarn-applications-distributedshell-*.jar) \
	-master_memory 256 -num_containers 1 -container_memory 64 -shell_command 'echo began at $(date +%s%N)' >client.log 2>&1
id=$(grep -o 'application_[0-9]*_[0-9]*' client.log | head -1)
for _ in $(seq 60); do
	hadoop-java org.apache.hadoop.yarn.client.cli.LogsCLI -applicationId "$id" >shell.log 2>/dev/null && at=$(sed -n 's/^began at //p' shell.log) && [ -n "$at" ] && break
	sleep 0.5
done
echo "$began $at"`)
	f := strings.Fields(out)
	if len(f) != 2 {
		t.Fatalf("distributed shell printed %q", out)
	}
	from, err1 := strconv.ParseInt(f[0], 10, 64)
	to, err2 := strconv.ParseInt(f[1], 10, 64)
	if err1 != nil || err2 != nil || to < from {
		t.Fatalf("distributed shell printed %q", out)
	}
	return float64(to-from) / 1e6
}

// fewMaps makes MapReduce start no more maps than files, and run no more at once than
// a small machine has cores: by default the JVMs of all its blocks start together.
const fewMaps = "-Dmapreduce.input.fileinputformat.split.minsize=134217728 -Dmapreduce.job.running.map.limit=2"

// benchWordCount counts a cluster's start as ours, as MapReduce's time has its own.
func benchWordCount(t *testing.T, alice dockertest.Edge) {
	t.Helper()
	prepare(t, alice)
	var ours, running, theirs, kind []float64
	for range *runs {
		alice.FS(t, "-rm", "-r", "-f", "-skipTrash", "bench-mr", "bench-wc")
		theirs = append(theirs, ms(mapReduce(t, alice, "", corpus, "bench-mr")))
		alice.FS(t, "-rm", "-r", "-f", "-skipTrash", "bench-mr")
		kind = append(kind, ms(mapReduce(t, alice, fewMaps, corpus, "bench-mr")))
		start := time.Now()
		a := submit(t, alice, "--workers", "6", "--worker-memory", "512MiB", "--wait", "workers:1")
		r := alice.Run(t, "wordcount", "--app", a.id, corpus, "bench-wc")
		if r.Code != 0 {
			t.Fatal(r)
		}
		ours, running = append(ours, ms(time.Since(start))), append(running, ms(r.Took))
		a.must(t, "kill", "--graceful")
	}
	alice.FS(t, "-rm", "-r", "-f", "-skipTrash", "bench-mr", "bench-wc")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nword count of Go's source tree, ms, median of %d (least-most)\t\n", *runs)
	fmt.Fprintf(w, "yarnd: submit 6 workers and count\t%s\nyarnd: count, on a cluster that runs\t%s\n", spread(ours), spread(running))
	fmt.Fprintf(w, "MapReduce's example\t%s\nMapReduce's example, a map per file, two at a time\t%s\n", spread(theirs), spread(kind))
	fmt.Fprintf(w, "MapReduce / yarnd with its submission\t%.1f\nthe kinder MapReduce / yarnd with its submission\t%.1f\n", median(theirs)/median(ours), median(kind)/median(ours))
	w.Flush()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func spread(x []float64) string {
	return fmt.Sprintf("%.0f (%.0f-%.0f)", median(x), slices.Min(x), slices.Max(x))
}

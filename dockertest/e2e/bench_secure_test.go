//go:build hadoop && bench

package e2e

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"

	"github.com/yarnd/yarnd/dockertest"
)

// What Kerberos and privacy cost: a start on the cluster with them beside one without, and 256 MiB into HDFS and back, and
// calls of the ResourceManager, beside Hadoop's own client. All sides in turn, in one run. Printed, not judged.
func TestBenchSecure(t *testing.T) {
	t.Setenv("HADOOP_JIT", "full")
	simple := dockertest.Running(t, "simple").Edge("alice")
	secure := dockertest.Running(t, "secure").Edge("alice").Ticketed(t)
	build(t, "./phases", "phases")
	build(t, "./copy", "copy")
	build(t, "./calls", "calls")
	t.Run("starts", func(t *testing.T) { benchStarts(t, simple, secure) })
	t.Run("copies", func(t *testing.T) {
		benchCopies(t, "simple", simple)
		benchCopies(t, "Kerberos, privacy", secure)
		benchCopies(t, "Kerberos, privacy with AES", dockertest.Running(t, "secure-aes").Edge("alice").Ticketed(t))
	})
	t.Run("calls", func(t *testing.T) {
		for _, goroutines := range []string{"1", "8"} {
			benchCalls(t, secure, goroutines)
		}
	})
}

// startsPerRun is how many applications are started for one run: node managers get their orders by heartbeats, once a second, so
// one start is not like the next.
const startsPerRun = 4

// benchStarts times the phases of an application's start.
func benchStarts(t *testing.T, simple, secure dockertest.Edge) {
	plain, private := map[string][]float64{}, map[string][]float64{}
	starts := *runs * startsPerRun
	for i := range starts + 1 { // the first one uploads
		for _, side := range []struct {
			edge dockertest.Edge
			into map[string][]float64
		}{{simple, plain}, {secure, private}} {
			for phase, ms := range phasesOf(t, side.edge) {
				if i > 0 {
					side.into[phase] = append(side.into[phase], ms)
				}
			}
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nms after the command was typed, median of %d (least-most)\tsimple\tKerberos, privacy\tratio\n", starts)
	for _, row := range [][2]string{{"ID", "application id"}, {"Registered", "application master registered"}, {"First", "first result of a command"}, {"Workers", "all workers joined"}} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\n", row[1], spread(plain[row[0]]), spread(private[row[0]]), median(private[row[0]])/median(plain[row[0]]))
	}
	w.Flush()
}

// benchCalls counts calls of getApplications under privacy, beside Hadoop's own client. The JVM's start and its warming up
// are not in it.
func benchCalls(t *testing.T, alice dockertest.Edge, goroutines string) {
	t.Helper()
	const calls = "4000"
	rates := map[string][]float64{}
	count := func(what string, r dockertest.Result) {
		t.Helper()
		var rate float64
		var apps int
		if _, err := fmt.Sscanf(r.Stdout, "%f calls/s, %d applications", &rate, &apps); err != nil || r.Code != 0 || apps == 0 {
			t.Fatal(err, r)
		}
		rates[what] = append(rates[what], rate)
	}
	for range *runs {
		count("ours", alice.Run(t, bundle("calls"), calls, goroutines))
		count("theirs", alice.Java(t, "test.yarnd.GetApplications", calls, goroutines))
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\ngetApplications a second, privacy, %s at a time, median of %d (least-most)\thadooprpc\tHadoop's client\tratio\n", goroutines, *runs)
	fmt.Fprintf(w, "\t%s\t%s\t%.2f\n", spread(rates["ours"]), spread(rates["theirs"]), median(rates["ours"])/median(rates["theirs"]))
	w.Flush()
}

// benchCopies times files into HDFS and back. A JVM's start is Java's: that is told beside.
func benchCopies(t *testing.T, name string, alice dockertest.Edge) {
	t.Helper()
	const file, there = "/tmp/bench-copy", "bench-copy"
	alice.Must(t, "sh", "-c", "head -c 268435456 /dev/urandom > "+file)
	defer alice.Run(t, "rm", "-f", file, "/tmp/bench-back")
	ours, theirs := map[string][]float64{}, map[string][]float64{}
	var start []float64
	for i := range *runs + 1 {
		keep := func(into map[string][]float64, what string, r dockertest.Result) {
			t.Helper()
			if r.Code != 0 {
				t.Fatal(r)
			}
			if i > 0 {
				into[what] = append(into[what], ms(r.Took))
			}
		}
		keep(ours, "put", alice.Run(t, bundle("copy"), "put", file, there))
		keep(ours, "get", alice.Run(t, bundle("copy"), "get", there, "/tmp/bench-back"))
		keep(theirs, "put", alice.FS(t, "-put", "-f", file, there))
		alice.Run(t, "rm", "-f", "/tmp/bench-back")
		keep(theirs, "get", alice.FS(t, "-get", there, "/tmp/bench-back"))
		r := alice.FS(t, "-test", "-e", there)
		if i > 0 {
			start = append(start, ms(r.Took))
		}
	}
	alice.FS(t, "-rm", "-f", "-skipTrash", there)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s: 256 MiB, ms, median of %d (least-most)\thadooprpc/hdfs\tHadoop's client\twithout the JVM's start, which takes %s\n", name, *runs, spread(start))
	for _, what := range []string{"put", "get"} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\n", what, spread(ours[what]), spread(theirs[what]), median(theirs[what])-median(start))
	}
	w.Flush()
}

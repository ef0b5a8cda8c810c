package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// run runs the program and returns its report, which is one line of JSON.
func runBench(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := bench(t.Context(), append(args, "--json"), &out, &errOut); code != 0 || errOut.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("not one line:\n%s", &out)
	}
	var r map[string]any
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// field finds a field by its path.
func field(t *testing.T, r map[string]any, path string) any {
	t.Helper()
	var v any = r
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if v = m[name]; !ok || v == nil {
			t.Fatalf("no %s in %v", path, r)
		}
	}
	return v
}

func number(t *testing.T, r map[string]any, path string) float64 {
	t.Helper()
	v, ok := field(t, r, path).(float64)
	if !ok {
		t.Fatalf("%s is no number in %v", path, r)
	}
	return v
}

// Each shape runs through real processes, and its results are right.
func TestShapes(t *testing.T) {
	small := map[string]string{
		"map":        "--tasks 300 --repeats 3",
		"merge":      "--tasks 300",
		"tree":       "--tasks 300 --size 5000", // larger than what travels with the report
		"chain":      "--tasks 50",
		"submit":     "--tasks 20",
		"ack":        "--tasks 20",
		"stencil":    "--tasks 2500",
		"merge_slow": "--tasks 10",
		"true":       "--tasks 20",
		"transfer":   "--tasks 4 --size 2M",
		"gather":     "--tasks 10 --size 300K",
		"broadcast":  "--tasks 9 --size 1M --workers 2",
		"idle":       "--workers 3 --window 200ms",
		"futures":    "--tasks 500",
		"zero":       "--tasks 20000 --workers 50",
		"spill":      "--tasks 16 --size 1M --memory 2M",
		"shuffle":    "--tasks 5 --rows 20000",
		"wordcount":  "--tasks 6 --size 100K",
		"python":     "--tasks 100 --batch 16",
	}
	figures := map[string]string{
		"chain": "latency_us.mean", "submit": "relay.ratio", "true": "spawn.ratio", "transfer": "data_plane.ratio", "gather": "data_plane.ratio",
		"futures": "futures.heap_bytes_per_future", "shuffle": "records.per_s", "wordcount": "records.bytes_per_s", "python": "batch",
	}
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			if _, err := exec.LookPath("python3"); s.kind == kindPython && err != nil {
				t.Skip("no python3 in the PATH")
			}
			r := runBench(t, append([]string{"--shape", s.name}, strings.Fields(small[s.name])...)...)
			if got := number(t, r, "wall_s"); got <= 0 {
				t.Errorf("wall_s is %v", got)
			}
			if got := field(t, r, "tls"); got != "TLS 1.3" {
				t.Errorf("tls is %v", got)
			}
			if path := figures[s.name]; path != "" && number(t, r, path) <= 0 {
				t.Errorf("%s is %v", path, field(t, r, path))
			}
			o, err := parseOptions(append([]string{"--shape", s.name}, strings.Fields(small[s.name])...), nil)
			if err != nil {
				t.Fatal(err)
			}
			w, err := load(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, is := r["checksum"].(string); is != w.values() {
				t.Errorf("checksum %v", r["checksum"])
			}
			if w.source != nil && w.values() && r["checksum"] != fmt.Sprintf("%016x", checksum(w.source)) {
				t.Errorf("checksum %v, want %016x", r["checksum"], checksum(w.source))
			}
			if got := number(t, r, "tasks"); got != float64(w.tasks(o)) {
				t.Errorf("tasks is %v", got)
			}
		})
	}
}

// The JSON has the fields that docs/benchmarks.md names, with figures for each role.
func TestJSON(t *testing.T) {
	r := runBench(t, "--shape", "tree", "--tasks", "200", "--slots", "2")
	want := []string{
		"api", "bytes_sent", "bytes_sent_per_task", "checksum", "cpu_s", "cpu_us_per_task", "cpu_us_per_task_by_role", "executors", "machine",
		"peak_rss_bytes", "pids", "repeats", "runs", "shape", "slots", "start_s", "tasks", "tasks_per_s", "tls", "wall_s", "workers",
	}
	if got := slices.Sorted(maps.Keys(r)); !slices.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
	seen := map[float64]bool{}
	for _, role := range []string{"client", "scheduler", "worker"} {
		for _, f := range []string{"peak_rss_bytes.", "bytes_sent."} {
			if number(t, r, f+role) <= 0 {
				t.Errorf("%s%s is %v", f, role, field(t, r, f+role))
			}
		}
		number(t, r, "cpu_s."+role)
		number(t, r, "cpu_us_per_task_by_role."+role)
		for _, pid := range field(t, r, "pids."+role).([]any) {
			seen[pid.(float64)] = true
		}
	}
	if len(seen) != 4 || seen[float64(os.Getpid())] {
		t.Errorf("processes %v", seen)
	}
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(want, "latency_us", "data_plane", "records", "batch", "spawn", "relay", "futures", "idle", "graph") {
		if !bytes.Contains(page, []byte("`"+f+"`")) {
			t.Errorf("docs/benchmarks.md does not name %s", f)
		}
	}
}

const diamond = "4\t0\t8\t2,3\n2\t10\t100000\t1\n3\t0\t8\t1,1\n1\t0\t8\n"

// A graph of somebody else runs, with either way to submit.
func TestGraph(t *testing.T) {
	file := filepath.Join(t.TempDir(), "graph.tsv")
	if err := os.WriteFile(file, []byte(diamond), 0o600); err != nil {
		t.Fatal(err)
	}
	v1 := splitmix64(1)
	want := fmt.Sprintf("%016x", splitmix64(4+splitmix64(2+v1)+splitmix64(3+2*v1)))
	for _, api := range []string{apiInner, apiTyped} {
		if r := runBench(t, "--graph", file, "--api", api); r["checksum"] != want {
			t.Errorf("%s: checksum %v, want %s", api, r["checksum"], want)
		}
	}
}

// A profile is written for each process.
func TestCPUProfile(t *testing.T) {
	t.Chdir(t.TempDir())
	const dir = "profiles"
	runBench(t, "--shape", "map", "--tasks", "50", "--api", "typed", "--cpuprofile", dir)
	for _, role := range []string{"client", "scheduler", "worker", "executor"} {
		files, err := filepath.Glob(filepath.Join(dir, role+"-*.pprof"))
		if err != nil || len(files) == 0 {
			t.Errorf("no profile of a %s: %v", role, err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Size() == 0 {
				t.Errorf("%s is empty: %v", f, err)
			}
		}
	}
}

func TestTable(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := bench(t.Context(), []string{"--shape", "submit", "--tasks", "5"}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	for _, want := range []string{"submit, 5 tasks, 2 workers × 1 slots, TLS 1.3", "(p50)", "client", "as computed without the engine"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// A range has the results that the shape must come to.
func TestRange(t *testing.T) {
	want := runBench(t, "--shape", "map", "--tasks", "5000")["checksum"]
	if r := runBench(t, "--shape", "map", "--tasks", "5000", "--api", "range"); r["checksum"] != want || r["api"] != "range" {
		t.Errorf("checksum %v of api %v, want %v", r["checksum"], r["api"], want)
	}
}

// Stubs answer tasks with types, too.
func TestTypedStub(t *testing.T) {
	if r := runBench(t, "--shape", "stencil", "--tasks", "3000", "--stub", "--api", "typed"); r["checksum"] != nil {
		t.Errorf("checksum %v of results without values", r["checksum"])
	}
}

// What is wrong with the input is told in one line, with exit code 2, before anything
// starts.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	cycle := filepath.Join(dir, "cycle.tsv")
	if err := os.WriteFile(cycle, []byte("1\t0\t8\t2\n2\t0\t8\t1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		args []string
		want string
	}{
		{[]string{"--graph", cycle}, "bench: " + cycle + ": line 1: tasks depend on each other in a cycle: 1 → 2 → 1\n"},
		{[]string{"--graph", filepath.Join(dir, "none")}, "no such file"},
		{[]string{"--shape", "none"}, "no shape"},
	} {
		var out, errOut bytes.Buffer
		if code := bench(t.Context(), k.args, &out, &errOut); code != exitUsage || out.Len() > 0 || !strings.Contains(errOut.String(), k.want) {
			t.Errorf("%q: exit code %d, %q, %q", k.args, code, &out, &errOut)
		}
	}
}

// A run that takes too long ends, with all its processes, and says so.
func TestTimeout(t *testing.T) {
	var out, errOut bytes.Buffer
	code := bench(t.Context(), strings.Fields("--shape idle --workers 1 --window 10h --timeout 1500ms"), &out, &errOut)
	if code != exitFailed || !strings.Contains(errOut.String(), "--timeout gives it more") {
		t.Errorf("exit code %d: %s", code, &errOut)
	}
}

// A worker that dies in the middle, so that its processes cannot be measured, ends the
// run with what it wrote.
func TestDeadRole(t *testing.T) {
	o, err := parseOptions(strings.Fields("--shape idle --workers 1 --window 10h"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := load(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(context.Background(), t.TempDir(), o, w, strings.Fields("--shape idle --workers 1 --window 10h"))
	if err != nil {
		t.Fatal(err)
	}
	c.client.kill()
	if _, _, _, err := c.measure(t.Context()); err == nil || !strings.Contains(err.Error(), "client") {
		t.Errorf("measured with a dead client: %v", err)
	}
	if err := c.stop(); err == nil {
		t.Error("the end of a killed process is not told")
	}
}

// A journal is written while the tasks run, and nothing is left of it.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	r := runBench(t, "--shape", "ack", "--tasks", "20", "--journal", dir)
	if number(t, r, "journal.bytes_per_task") <= 0 || number(t, r, "journal.flushes") < 20 {
		t.Errorf("the journal took %v for 20 tasks, each safe before the next", r["journal"])
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the journal's directory: %v, %v", left, err)
	}
}

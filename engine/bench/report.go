package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is the result, as JSON. docs/benchmarks.md says what each field is.
type report struct {
	Shape   string `json:"shape"`
	Graph   string `json:"graph,omitempty"`
	API     string `json:"api"`
	Tasks   int    `json:"tasks"`
	Workers int    `json:"workers"`
	Slots   int    `json:"slots"`
	Batch   int    `json:"batch,omitempty"` // of Python calls
	Repeats int    `json:"repeats"`

	Start      float64 `json:"start_s"` // until all processes are there, and warm
	Wall       float64 `json:"wall_s"`
	TasksPerS  float64 `json:"tasks_per_s"`
	CPUPerTask float64 `json:"cpu_us_per_task"`
	// By role: client, scheduler, worker. A worker's executors and commands are its own.
	CPUPerTaskByRole map[string]float64 `json:"cpu_us_per_task_by_role"`
	CPU              map[string]float64 `json:"cpu_s"`
	PeakRSS          map[string]uint64  `json:"peak_rss_bytes"` // of the largest of the role
	BytesSent        map[string]uint64  `json:"bytes_sent"`
	BytesPerTask     float64            `json:"bytes_sent_per_task"`
	PIDs             map[string][]int   `json:"pids"`
	Executors        *executors         `json:"executors,omitempty"`

	Checksum *string `json:"checksum"` // null: the workload has no values
	TLS      string  `json:"tls"`

	Latency *latency   `json:"latency_us,omitempty"`
	Journal *written   `json:"journal,omitempty"`
	Move    *move      `json:"data_plane,omitempty"`
	Records *records   `json:"records,omitempty"`
	Spawn   *spawn     `json:"spawn,omitempty"`
	Relay   *relay     `json:"relay,omitempty"`
	Futures *heldBytes `json:"futures,omitempty"`
	Idle    *idle      `json:"idle,omitempty"`

	Runs    []oneRun `json:"runs"`
	Machine machine  `json:"machine"`
}

// executors are the part of the workers' figures that is not of the worker processes.
type executors struct {
	CPU        float64 `json:"cpu_s"`
	CPUPerTask float64 `json:"cpu_us_per_task"`
	PeakRSS    uint64  `json:"peak_rss_bytes"` // of the largest
}

// latency is how long single tasks took, in microseconds.
type latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50,omitempty"`
	P90  float64 `json:"p90,omitempty"`
	P99  float64 `json:"p99,omitempty"`
	Max  float64 `json:"max,omitempty"`
}

// move is how fast results travelled, beside two bare processes.
type move struct {
	Bytes     uint64  `json:"bytes"`
	PerS      float64 `json:"bytes_per_s"`
	BoundPerS float64 `json:"bound_bytes_per_s"`
	Ratio     float64 `json:"ratio"`
}

// records are what was shuffled: rows, or the words of a text.
type records struct {
	Count     uint64  `json:"count"`
	Bytes     uint64  `json:"bytes"`
	PerS      float64 `json:"per_s"`
	BytesPerS float64 `json:"bytes_per_s"`
}

// spawn is how fast processes can be started at all.
type spawn struct {
	BoundPerS float64 `json:"bound_tasks_per_s"`
	Ratio     float64 `json:"ratio"`
}

// relay is how long a message takes all the way and back without the engine.
type relay struct {
	P50   float64 `json:"p50_us"`
	Ratio float64 `json:"ratio"`
}

// heldBytes is what a future that is held takes of the client.
type heldBytes struct {
	Heap float64 `json:"heap_bytes_per_future"`
	RSS  float64 `json:"rss_bytes_per_future"`
}

// idle is what processes take that have nothing to do, in percent of a core.
type idle struct {
	Percent   map[string]float64 `json:"cpu_percent"` // of all of the role together
	PerWorker float64            `json:"cpu_percent_per_worker"`
}

// oneRun is one of the repeats.
type oneRun struct {
	Wall       float64 `json:"wall_s"`
	TasksPerS  float64 `json:"tasks_per_s"`
	CPUPerTask float64 `json:"cpu_us_per_task"`
}

type machine struct {
	CPUs  int    `json:"cpus"`
	Model string `json:"model"`
	Go    string `json:"go"`
}

// measured is one run with what the processes took.
type measured struct {
	run           *run
	before, after moment
}

func (m *measured) cpu(role string, all []*child) float64 {
	sum := 0.0
	for i, k := range all {
		if roleOf(k) == role {
			sum += m.after.usage[i].total() - m.before.usage[i].total()
		}
	}
	return sum
}

// executorCPU is the part of the workers' that is below them.
func (m *measured) executorCPU(all []*child) float64 {
	sum := 0.0
	for i, k := range all {
		if k.role == roleWorker {
			a, b := m.after.usage[i], m.before.usage[i]
			sum += a.total() - a.cpu - b.total() + b.cpu
		}
	}
	return max(0, sum)
}

// roleOf is the role under which a process is reported.
func roleOf(k *child) string {
	if k.role == roleStub {
		return roleWorker
	}
	return k.role
}

var reported = []string{roleClient, roleScheduler, roleWorker}

// newReport makes the report of several runs: the figures are of the one with the
// median time.
func newReport(c *cluster, all []measured) *report {
	o, w := c.o, c.w
	tasks := w.tasks(o)
	r := &report{
		Shape: w.name, Graph: o.graph, API: o.api, Tasks: tasks, Workers: o.workers, Slots: o.slots, Repeats: len(all),
		CPUPerTaskByRole: map[string]float64{}, CPU: map[string]float64{}, PeakRSS: map[string]uint64{},
		BytesSent: map[string]uint64{}, PIDs: map[string][]int{}, Machine: thisMachine(),
	}
	if w.kind == kindPython {
		r.Batch = o.batch
	}
	children := c.children()
	for _, m := range all {
		one := oneRun{Wall: m.run.Wall, TasksPerS: float64(tasks) / m.run.Wall}
		for _, role := range reported {
			one.CPUPerTask += perTask(m.cpu(role, children), tasks)
		}
		r.Runs = append(r.Runs, one)
	}
	m := median(all, func(m measured) float64 { return m.run.Wall })
	r.Wall, r.TasksPerS = m.run.Wall, float64(tasks)/m.run.Wall
	for _, role := range reported {
		r.CPU[role] = m.cpu(role, children)
		r.CPUPerTaskByRole[role] = perTask(r.CPU[role], tasks)
		r.CPUPerTask += r.CPUPerTaskByRole[role]
	}
	r.addProcesses(&m, children)
	if tasks > 0 {
		for _, n := range r.BytesSent {
			r.BytesPerTask += float64(n) / float64(tasks)
		}
	}
	if w.values() {
		text := fmt.Sprintf("%016x", m.run.Sum)
		r.Checksum = &text
	}
	r.TLS = tlsName(m.after.traffic)
	r.addFigure(c, &m)
	return r
}

// addProcesses adds what is told of processes.
func (r *report) addProcesses(m *measured, children []*child) {
	var ex executors
	for i, k := range children {
		role, u := roleOf(k), m.after.usage[i]
		r.PIDs[role] = append(r.PIDs[role], k.pid)
		r.PeakRSS[role] = max(r.PeakRSS[role], u.totalPeak())
		r.BytesSent[role] += m.after.traffic[i].Sent - m.before.traffic[i].Sent
		for _, d := range u.below {
			r.PIDs["executor"] = append(r.PIDs["executor"], d.pid)
			ex.PeakRSS = max(ex.PeakRSS, d.peak)
		}
	}
	if len(r.PIDs["executor"]) > 0 {
		ex.CPU = m.executorCPU(children)
		ex.CPUPerTask = perTask(ex.CPU, r.Tasks)
		r.Executors = &ex
	}
}

// addFigure adds what the shape is about, where that is not the rate.
func (r *report) addFigure(c *cluster, m *measured) {
	w := c.w
	r.addJournal(c, m)
	if len(m.run.Latency) > 0 {
		r.Latency = newLatency(m.run.Latency)
	} else if w.per && r.Tasks > 0 {
		r.Latency = &latency{Mean: perTask(m.run.Wall, r.Tasks)}
	}
	if m.run.Moved > 0 {
		r.Move = &move{Bytes: m.run.Moved, PerS: float64(m.run.Moved) / m.run.MoveTime}
	}
	if n := m.run.Records; n > 0 {
		r.Records = &records{n, m.run.Bytes, float64(n) / m.run.Wall, float64(m.run.Bytes) / m.run.Wall}
	}
	switch w.kind {
	case kindFutures:
		r.Futures = &heldBytes{m.run.HeapPerFuture, m.run.RSSPerFuture}
	case kindIdle:
		r.Idle = &idle{Percent: map[string]float64{}}
		for role, cpu := range r.CPU {
			r.Idle.Percent[role] = 100 * cpu / m.run.Wall
		}
		r.Idle.PerWorker = r.Idle.Percent[roleWorker] / float64(r.Workers)
	}
}

// addJournal adds what the scheduler's journal took.
func (r *report) addJournal(c *cluster, m *measured) {
	for i, k := range c.children() {
		if k.role != roleScheduler || c.o.journal == "" {
			continue
		}
		j := &written{Bytes: m.after.traffic[i].Journal - m.before.traffic[i].Journal, Flushes: m.after.traffic[i].Flushes - m.before.traffic[i].Flushes}
		if r.Tasks > 0 {
			j.BytesPerTask = float64(j.Bytes) / float64(r.Tasks)
		}
		r.Journal = j
	}
}

// addBound adds what the machine could do.
func (r *report) addBound(kind bound, figures []float64) {
	if len(figures) == 0 {
		return
	}
	bound := median(figures, func(v float64) float64 { return v })
	switch kind {
	case tlsBound:
		r.Move.BoundPerS, r.Move.Ratio = bound, r.Move.PerS/bound
	case spawnBound:
		r.Spawn = &spawn{bound, r.TasksPerS / bound}
	case relayBound:
		r.Relay = &relay{bound, r.Latency.P50 / bound}
	}
}

func perTask(seconds float64, tasks int) float64 {
	if tasks == 0 {
		return 0
	}
	return seconds * 1e6 / float64(tasks)
}

// median returns the middle one, the lower of two.
func median[T any](all []T, key func(T) float64) T {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return sorted[(len(sorted)-1)/2]
}

func newLatency(ns []int64) *latency {
	sorted := slices.Sorted(slices.Values(ns))
	at := func(q float64) float64 { // nearest rank
		return float64(sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]) / 1e3
	}
	sum := 0.0
	for _, v := range sorted {
		sum += float64(v) / 1e3
	}
	return &latency{Mean: sum / float64(len(sorted)), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1)}
}

func thisMachine() machine {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Model = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// table writes the report for people.
func (r *report) table(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("shape", "%s, %d tasks, %d workers × %d slots, %s", r.Shape, r.Tasks, r.Workers, r.Slots, r.TLS)
	row("time", "%.3f s (median of %d), %.1f s to start", r.Wall, r.Repeats, r.Start)
	if n := r.Records; n != nil {
		row("records", "%d, %.0f/s, %s/s", n.Count, n.PerS, size(n.BytesPerS))
	}
	if r.Tasks > 0 {
		row("rate", "%.0f tasks/s", r.TasksPerS)
		row("CPU a task", "%.2f µs: %s", r.CPUPerTask, byRole(r.CPUPerTaskByRole, "%s %.2f"))
		row("sent a task", "%.0f bytes", r.BytesPerTask)
	}
	if r.Executors != nil {
		row("executors", "%.2f µs of the workers' CPU a task, %s at most", r.Executors.CPUPerTask, size(float64(r.Executors.PeakRSS)))
	}
	if l := r.Latency; l != nil && l.Max == 0 {
		row("a task", "%.1f µs", l.Mean)
	} else if l != nil {
		row("a task", "%.1f µs (p50), %.1f (p90), %.1f (p99), %.1f at most", l.P50, l.P90, l.P99, l.Max)
	}
	if j := r.Journal; j != nil {
		row("journal", "%s, %.0f bytes a task, %d flushes", size(float64(j.Bytes)), j.BytesPerTask, j.Flushes)
	}
	if m := r.Move; m != nil {
		row("data plane", "%s/s, %.0f %% of two bare TLS processes' %s/s", size(m.PerS), 100*m.Ratio, size(m.BoundPerS))
	}
	if b := r.Relay; b != nil {
		row("relay", "%.1f µs (p50) through four processes without the engine: a task takes %.1f times as long", b.P50, b.Ratio)
	}
	if s := r.Spawn; s != nil {
		row("starts", "%.0f %% of the %.0f/s that a loop of spawns reaches", 100*s.Ratio, s.BoundPerS)
	}
	if f := r.Futures; f != nil {
		row("a held future", "%.0f bytes of heap, %.0f of resident memory", f.Heap, f.RSS)
	}
	if i := r.Idle; i != nil {
		row("idle", "%% of a core: %s; a worker %.3f", byRole(i.Percent, "%s %.2f"), i.PerWorker)
	}
	row("peak memory", "%s", byRole(r.PeakRSS, "%s %s"))
	if r.Checksum != nil {
		row("checksum", "%s, as computed without the engine", *r.Checksum)
	} else {
		row("checksum", "none: results of this workload have no values")
	}
	return t.Flush()
}

func byRole[V float64 | uint64](m map[string]V, format string) string {
	var parts []string
	for _, role := range slices.Sorted(maps.Keys(m)) {
		var v any = m[role]
		if n, ok := v.(uint64); ok {
			v = size(float64(n))
		}
		parts = append(parts, fmt.Sprintf(format, role, v))
	}
	return strings.Join(parts, ", ")
}

// size writes bytes with a unit.
func size(n float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.0f %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.2f GiB", n)
}

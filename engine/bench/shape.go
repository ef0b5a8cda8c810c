package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// kind says how the client drives a shape.
type kind uint8

const (
	kindGraph    kind = iota // submitted whole; the results that nobody needs are read
	kindSteps                // one task at a time, each after the result of the one before
	kindGather               // all results first, then fetched
	kindCommands             // a command, many times
	kindFutures              // small tasks whose futures are held
	kindIdle                 // nothing
	kindAcks                 // one task at a time, each after the acknowledgement of the one before
	kindRows                 // rows are shuffled
	kindWords                // words of a text are counted, by a shuffle
	kindPython               // calls of a Python function, in batches
)

// shape is a workload, with what it is run with unless flags say otherwise.
type shape struct {
	name  string
	about string
	kind  kind
	with  options // of which zero values mean the general default
	// source makes the graph; nil for one without values.
	source func(options) *shaped
	// pools restricts task i to the workers of pool i%2.
	pools bool
	// halves has the first half of the tasks end and stay before the second begins.
	halves bool
	// ranged says that its tasks differ in their number alone.
	ranged bool
	// stub has the workers answer at once.
	stub bool
	// bound is what the machine could do, measured in the same run.
	bound bound
	// per says that the time of a task, not the rate, is the figure.
	per bool
}

type bound uint8

const (
	noBound    bound = iota
	tlsBound         // two bare Go processes over TLS
	spawnBound       // processes that only start processes
	relayBound       // processes that only pass a message on
)

const mib = 1 << 20

// shapes are all workloads, in the order of the documentation.
var shapes = []shape{
	{name: "map", about: "N tasks that need nothing", source: plain(noDeps), ranged: true},
	{name: "merge", about: "N-1 tasks and one that needs them all", source: sized(mergeDeps)},
	{name: "tree", about: "N tasks that combine results in pairs", source: sized(treeDeps)},
	{name: "chain", about: "N tasks, each needs the one before", with: options{tasks: 1000}, source: plain(chainDeps), per: true},
	{name: "submit", about: "N times: submit one task, wait for its result", kind: kindSteps, with: options{tasks: 200}, source: plain(noDeps), per: true, bound: relayBound},
	{name: "ack", about: "N times: submit one task, wait until the scheduler has it", kind: kindAcks, with: options{tasks: 1000}, source: plain(noDeps), per: true},
	{name: "stencil", about: "rows of 1,000 tasks, each needs three of the row before",
		source: sized(func(n int) func(int, []uint32) []uint32 { return stencilDeps(min(n, 1000)) })},
	{name: "merge_slow", about: "merge of tasks that take --duration", with: options{tasks: 200, duration: 10 * time.Millisecond}, source: sized(mergeDeps)},
	{name: "true", about: "N times the command true", kind: kindCommands, with: options{tasks: 10_000}, bound: spawnBound},
	{name: "transfer", about: "N/2 results of --size that a task on another worker needs", kind: kindSteps, with: options{tasks: 10, size: 400 * mib, workers: 2},
		source: pairs, pools: true, bound: tlsBound, per: true},
	{name: "gather", about: "N results of --size, fetched by the client", kind: kindGather, with: options{tasks: 64, size: 16 * mib}, source: plain(noDeps), bound: tlsBound},
	{name: "broadcast", about: "one result of --size that N-1 tasks need", with: options{tasks: 65, size: 64 * mib, workers: 4}, source: broadcast},
	{name: "idle", about: "workers without work, for --window", kind: kindIdle, with: options{workers: 200}},
	{name: "futures", about: "N tasks whose futures the client holds", kind: kindFutures, source: plain(noDeps)},
	{name: "zero", about: "map with workers that answer at once, in one process", with: options{tasks: 1_000_000}, source: plain(noDeps), ranged: true, stub: true},
	{name: "spill", about: "N/2 results of --size kept at once, then N/2 tasks that need one each", with: options{tasks: 128, size: 64 * mib, workers: 1, memory: 1 << 30},
		source: spilled, halves: true},
	{name: "shuffle", about: "N/2 tasks make --rows rows, N/2 get them sorted by their keys", kind: kindRows, with: options{tasks: 16, memory: 1 << 30}},
	{name: "wordcount", about: "N/2 tasks count the words of a text of --size, N/2 add up", kind: kindWords, with: options{tasks: 16, size: 256 * mib}},
	{name: "python", about: "N calls of a Python function, --batch at once", kind: kindPython, with: options{tasks: 20_000}, source: plain(noDeps)},
}

func plain(deps func(int, []uint32) []uint32) func(options) *shaped {
	return sized(func(int) func(int, []uint32) []uint32 { return deps })
}

func sized(deps func(n int) func(int, []uint32) []uint32) func(options) *shaped {
	return func(o options) *shaped {
		return &shaped{n: o.tasks, us: uint32(o.duration.Microseconds()), bytes: o.size, depsOf: deps(o.tasks)}
	}
}

func broadcast(o options) *shaped {
	return &shaped{n: o.tasks, us: uint32(o.duration.Microseconds()), bytes: valueLen, large: o.size, first: 1, depsOf: broadcastDeps}
}

func spilled(o options) *shaped {
	half := (o.tasks + 1) / 2
	return &shaped{n: 2 * half, us: uint32(o.duration.Microseconds()), bytes: valueLen, large: o.size, first: half, depsOf: halvesDeps(half)}
}

func pairs(o options) *shaped {
	return &shaped{n: o.tasks + o.tasks%2, us: uint32(o.duration.Microseconds()), bytes: valueLen, large: o.size, even: true, depsOf: pairDeps}
}

// findShape returns the shape of that name.
func findShape(name string) (shape, error) {
	for _, s := range shapes {
		if s.name == name {
			return s, nil
		}
	}
	return shape{}, fmt.Errorf("no shape %q; there are %s", name, strings.Join(shapeNames(), ", "))
}

func shapeNames() []string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
}

// workload is what one run of the program measures.
type workload struct {
	shape
	source source // nil without values
}

// load makes the workload that the options name, and reads its file.
func load(o options) (*workload, error) {
	if o.graph != "" {
		f, err := os.Open(o.graph)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		g, err := readGraph(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.graph, err)
		}
		return &workload{shape{name: "graph", stub: o.stub}, g}, nil
	}
	s, err := findShape(o.shape)
	if err != nil {
		return nil, err
	}
	s.stub = s.stub || o.stub
	w := &workload{shape: s}
	if s.source != nil {
		w.source = s.source(o)
	}
	return w, nil
}

// tasks returns how many tasks the workload has.
func (w *workload) tasks(o options) int {
	switch {
	case w.source != nil:
		return w.source.len()
	case w.kind == kindIdle:
		return 0
	case w.shuffles():
		maps, parts := halves(o.tasks)
		return maps + parts
	}
	return o.tasks
}

// values reports whether the results have values that are checked.
func (w *workload) values() bool { return (w.source != nil || w.shuffles()) && !w.stub }

// shuffles reports whether the workload is a shuffle.
func (w *workload) shuffles() bool { return w.kind == kindRows || w.kind == kindWords }

// want computes what the checksum of the results must come to.
func (w *workload) want(o options) (uint64, error) {
	switch {
	case !w.values():
		return 0, nil
	case w.kind == kindRows:
		return rowsSum(o.rows), nil
	case w.kind == kindWords:
		return textSum(o.input)
	}
	return checksum(w.source), nil
}

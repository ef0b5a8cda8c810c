package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	shape, graph string
	tasks        int
	workers      int
	slots        int
	repeats      int
	size         uint64
	duration     time.Duration
	memory       uint64
	window       time.Duration
	timeout      time.Duration
	api          string
	stub         bool
	rows         uint64
	input        string
	batch        int
	json         bool
	cpuProfile   string
	journal      string
}

// Ways to submit.
const (
	apiInner = "inner" // the client's columns, payloads as bytes
	apiTyped = "typed" // Define, Submit and Map, as programs do
	apiRange = "range" // Define and MapRange
)

// general are the defaults where a shape has none of its own.
var general = options{
	tasks: 100_000, workers: 2, slots: 1, repeats: 1, size: valueLen, memory: 256 * mib,
	window: 10 * time.Second, timeout: 10 * time.Minute, api: apiInner,
	rows: 5_000_000, batch: 256,
}

// maxWorkers bounds the processes that the program starts.
const maxWorkers = 10_000

// errHelp says that the usage was asked for, and printed.
var errHelp = flag.ErrHelp

// parseOptions reads the command line. The usage goes to out when it is asked for.
func parseOptions(args []string, out io.Writer) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.shape, "shape", "", "one of the `shapes` below")
	f.StringVar(&o.graph, "graph", "", "`file` with a graph, instead of a shape")
	f.IntVar(&o.tasks, "tasks", 0, "`number` of tasks")
	f.IntVar(&o.workers, "workers", 0, "`number` of worker processes")
	f.IntVar(&o.slots, "slots", 0, "`number` of tasks that run at once on each")
	f.IntVar(&o.repeats, "repeats", 0, "`number` of runs; the figures are of the median one")
	f.Func("size", "`bytes` of a result, or of a text; K, M and G are 2¹⁰, 2²⁰ and 2³⁰", bytesInto(&o.size))
	f.Uint64Var(&o.rows, "rows", 0, "`number` of rows of 100 bytes that are shuffled")
	f.StringVar(&o.input, "input", "", "`file` with the text whose words are counted; made if there is none")
	f.IntVar(&o.batch, "batch", 0, "`number` of Python calls that are under way at once")
	f.DurationVar(&o.duration, "duration", 0, "`time` that each task takes")
	f.Func("memory", "`bytes` of results that a worker keeps in memory", bytesInto(&o.memory))
	f.DurationVar(&o.window, "window", 0, "`time` for which idle looks on")
	f.DurationVar(&o.timeout, "timeout", 0, "`time` after which the program gives up")
	f.StringVar(&o.api, "api", "", "`way` to submit: inner, typed or range")
	f.BoolVar(&o.stub, "stub", false, "workers answer at once, in one process")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	f.StringVar(&o.journal, "journal", "", "`directory` on a disk, in which the scheduler keeps a journal while it runs")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "`directory` for a CPU profile of each process")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		printUsage(f, out)
		return o, errHelp
	} else if err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q: there are flags only", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return o.complete(given)
}

func printUsage(f *flag.FlagSet, out io.Writer) {
	fmt.Fprint(out, "usage: go run ./engine/bench --shape SHAPE | --graph FILE [flags]\n\nflags:\n")
	f.SetOutput(out)
	f.PrintDefaults()
	fmt.Fprint(out, "\nshapes:\n")
	for _, s := range shapes {
		fmt.Fprintf(out, "  %-11s %s\n", s.name, s.about)
	}
}

// complete fills in what was not given and refuses what cannot be.
func (o options) complete(given map[string]bool) (options, error) {
	var s shape
	switch {
	case (o.shape == "") == (o.graph == ""):
		return o, errors.New("either --shape or --graph is needed: --help lists the shapes")
	case o.graph != "":
		for _, name := range []string{"tasks", "size", "duration"} {
			if given[name] {
				return o, fmt.Errorf("--%s: the graph's file says that", name)
			}
		}
	default:
		var err error
		if s, err = findShape(o.shape); err != nil {
			return o, fmt.Errorf("--shape: %w", err)
		}
	}
	fillIn(given, "tasks", &o.tasks, s.with.tasks, general.tasks)
	fillIn(given, "workers", &o.workers, s.with.workers, general.workers)
	fillIn(given, "slots", &o.slots, s.with.slots, general.slots)
	fillIn(given, "repeats", &o.repeats, s.with.repeats, general.repeats)
	fillIn(given, "size", &o.size, s.with.size, general.size)
	fillIn(given, "duration", &o.duration, s.with.duration, general.duration)
	fillIn(given, "window", &o.window, s.with.window, general.window)
	fillIn(given, "timeout", &o.timeout, s.with.timeout, general.timeout)
	fillIn(given, "rows", &o.rows, s.with.rows, general.rows)
	fillIn(given, "batch", &o.batch, s.with.batch, general.batch)
	fillIn(given, "api", &o.api, s.with.api, general.api)
	fillIn(given, "memory", &o.memory, s.with.memory, max(general.memory, o.resultsToHold(s)))
	return o, o.check(s, given)
}

// resultsToHold is how much memory the results of a shape take in one worker, at most.
func (o options) resultsToHold(s shape) uint64 {
	switch s.kind {
	case kindSteps:
		return 4 * o.size
	case kindGather:
		return o.size * uint64(o.tasks) * 3 / 2
	case kindWords:
		return 0 // of its text
	}
	return 2 * o.size
}

func fillIn[T comparable](given map[string]bool, name string, v *T, of, general T) {
	var zero T
	switch {
	case given[name]:
	case of != zero:
		*v = of
	default:
		*v = general
	}
}

func (o options) check(s shape, given map[string]bool) error {
	between := func(name string, v, least, most int) error {
		if v < least || v > most {
			return fmt.Errorf("--%s %d: from %d to %d", name, v, least, most)
		}
		return nil
	}
	err := errors.Join(
		between("tasks", o.tasks, 1, maxTasks),
		between("workers", o.workers, 1, maxWorkers),
		between("slots", o.slots, 1, 1024),
		between("repeats", o.repeats, 1, 1000),
		between("batch", o.batch, 1, maxTasks),
		onlyOf(s, given),
	)
	switch {
	case err != nil:
		return err
	case o.size > maxResult && s.kind != kindWords:
		return fmt.Errorf("--size %d: a result has at most %d bytes", o.size, uint64(maxResult))
	case o.duration < 0 || o.duration.Microseconds() > math.MaxUint32:
		return fmt.Errorf("--duration %v: from 0 to %v", o.duration, time.Duration(math.MaxUint32)*time.Microsecond)
	case o.memory == 0:
		return errors.New("--memory 0: a worker needs some")
	case o.window <= 0 || o.timeout <= 0:
		return errors.New("--window and --timeout are more than 0")
	case o.api != apiInner && o.api != apiTyped && o.api != apiRange:
		return fmt.Errorf("--api %q: inner, typed or range", o.api)
	case s.pools && o.workers < 2:
		return fmt.Errorf("--workers %d: shape %s needs two", o.workers, s.name)
	case o.stub && s.kind != kindGraph:
		return fmt.Errorf("--stub: shape %s needs workers that work", s.name)
	case given["api"] && o.api == apiTyped && (s.kind != kindGraph || s.halves):
		return fmt.Errorf("--api typed: shape %s is not driven so", s.name)
	case o.api == apiRange && (!s.ranged || given["size"] || given["duration"]):
		return errors.New("--api range: only shapes map and zero are driven so, without --size and --duration")
	case o.rows == 0 || o.rows > math.MaxUint32:
		return fmt.Errorf("--rows %d: from 1 to %d", o.rows, uint32(math.MaxUint32))
	}
	return nil
}

// onlyOf refuses flags that say nothing to the shape.
func onlyOf(s shape, given map[string]bool) error {
	graph := s.name == "" || s.source != nil && s.kind != kindPython
	for name, of := range map[string]bool{
		"duration": graph,
		"size":     graph || s.kind == kindWords,
		"rows":     s.kind == kindRows,
		"input":    s.kind == kindWords,
		"batch":    s.kind == kindPython,
	} {
		if given[name] && !of {
			return fmt.Errorf("--%s means nothing to shape %s", name, cmp.Or(s.name, "graph"))
		}
	}
	return nil
}

// bytesInto reads a size such as 400M.
func bytesInto(v *uint64) func(string) error {
	return func(text string) error {
		digits, shift := text, 0
		for i, unit := range []string{"K", "M", "G"} {
			if rest, ok := strings.CutSuffix(text, unit); ok {
				digits, shift = rest, 10*(i+1)
			}
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || n > math.MaxUint64>>shift {
			return fmt.Errorf("not a number of bytes")
		}
		*v = n << shift
		return nil
	}
}

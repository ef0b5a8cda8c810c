package shuffle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/yarnd/yarnd/engine"
)

// Spec says how records look and what their tasks may take.
type Spec[K, V any] struct {
	Key   Coder[K]
	Value Coder[V]
	// Combine, if there is one, makes one value of two of a key, where they meet: within a
	// map task, and again on the way to the reduce function. It is associative, and may
	// change and return a; a is the earlier one.
	Combine func(a, b V) V
	// Memory is how many bytes of records a task keeps in memory; 0 is 64 MiB. The
	// process takes up to twice of it, as Go collects garbage when it has grown so much, and
	// some 30 MiB beside. See
	// engine.Memory for tasks that must not run beside too many others.
	Memory int64
}

const defaultMemory = 64 << 20

func (s *Spec[K, V]) memory() int64 {
	if s.Memory <= 0 {
		return defaultMemory
	}
	return s.Memory
}

// Shuffle is a map and a reduce function, with what lies between. It is safe for
// concurrent use.
type Shuffle[In, K, V, Arg, Out any] struct {
	name   string
	task   *engine.Task[mapIn[In], []byte]
	reduce *engine.Task[reduceIn[Arg], Out]
	sample *engine.Task[sampleIn[In], [][]byte]
	cut    *engine.Task[cutIn, [][]byte]
	hosts  func(In) []string
}

// Part tells a reduce function what it is about.
type Part[Arg any] struct {
	Index int // of the partition, from 0
	Parts int // how many there are
	Arg   Arg // of Run
}

type mapIn[In any] struct {
	In     In
	Run    RunID
	Map    uint32
	Parts  uint32
	Ranges bool
	Cuts   engine.Ref[[][]byte]
}

type reduceIn[Arg any] struct {
	Run     RunID
	Part    uint32
	Parts   uint32
	Arg     Arg
	Outputs []engine.Ref[[]byte]
}

// Define makes a shuffle that can be run under a name. Like engine.Define it belongs into
// a package variable, and panics when a name is taken or a type cannot be sent. Its tasks
// are name.map, name.reduce, and for Range name.sample and name.cut; options hold for all.
//
// mapper emits the records of an input. If an input holds Refs, mapper reads them by
// engine.Get or engine.Open. With Range it also runs for a sample, of which what it emits
// is the only effect that counts: when Emit returns an error, it returns that.
//
// reducer goes through the groups of a partition. It need not go to their end. If they
// could not be read, its result does not count.
func Define[In, K, V, Arg, Out any](name string, spec Spec[K, V],
	mapper func(ctx context.Context, in In, out *Emitter[K, V]) error,
	reducer func(ctx context.Context, part Part[Arg], groups *Groups[K, V]) (Out, error),
	o ...engine.TaskOption,
) *Shuffle[In, K, V, Arg, Out] {
	if mapper == nil || reducer == nil || spec.Key.Append == nil || spec.Key.Decode == nil || spec.Value.Append == nil || spec.Value.Decode == nil {
		panic(fmt.Sprintf("shuffle: Define(%q): two functions and two coders are needed", name))
	}
	return &Shuffle[In, K, V, Arg, Out]{
		name: name,
		task: engine.DefineStream(name+".map", func(ctx context.Context, in mapIn[In]) (*engine.Stream, error) {
			return runMap(ctx, &spec, mapper, in)
		}, o...),
		reduce: engine.DefineLazy(name+".reduce", func(ctx context.Context, in reduceIn[Arg]) (Out, error) {
			return runReduce(ctx, &spec, reducer, in)
		}, o...),
		sample: engine.DefineLazy(name+".sample", func(ctx context.Context, in sampleIn[In]) ([][]byte, error) {
			return runSample(ctx, &spec, mapper, in)
		}, o...),
		cut: engine.Define(name+".cut", func(_ context.Context, in cutIn) ([][]byte, error) {
			var all [][]byte
			for _, s := range in.Samples {
				all = append(all, s.Value()...)
			}
			return cut(all, int(in.Parts)), nil
		}, o...),
	}
}

// Near sets where inputs lie: the map task of one runs on such a host if a worker there is
// free soon enough. It returns s.
func (s *Shuffle[In, K, V, Arg, Out]) Near(hosts func(In) []string) *Shuffle[In, K, V, Arg, Out] {
	s.hosts = hosts
	return s
}

// Run is a shuffle that was submitted.
type Run[Out any] struct {
	ID    RunID
	Maps  int                   // tasks that map
	Parts []*engine.Future[Out] // results of the reduce function, in the order of the partitions
}

// Run submits a shuffle of inputs; arg goes to every call of the reduce function. It does
// not wait for tasks, and never returns nil: what could not be submitted, its futures say.
// The results of map tasks are freed when the reduce tasks have ended.
func (s *Shuffle[In, K, V, Arg, Out]) Run(ctx context.Context, c *engine.Client, inputs []In, arg Arg, p Partition, o ...engine.SubmitOption) *Run[Out] {
	parts := max(p.parts, 1)
	run := &Run[Out]{Maps: len(inputs), Parts: make([]*engine.Future[Out], parts)}
	rand.Read(run.ID[:]) //nolint:errcheck // it never fails
	near := func(in In) []engine.SubmitOption {
		if s.hosts == nil {
			return o
		}
		return append(o[:len(o):len(o)], engine.Hosts(s.hosts(in)...))
	}
	var loose []interface{ Release() }
	cuts := engine.Ref[[][]byte]{}
	if p.ranges && parts > 1 {
		samples := make([]engine.Ref[[][]byte], 0, sampled)
		for _, in := range spread(inputs, sampled) {
			f := s.sample.Submit(ctx, c, sampleIn[In]{In: in, Keys: sampleKeys}, near(in)...)
			loose, samples = append(loose, f), append(samples, f.Ref())
		}
		f := s.cut.Submit(ctx, c, cutIn{Samples: samples, Parts: uint32(parts)}, o...)
		loose, cuts = append(loose, f), f.Ref()
	}
	refs := make([]engine.Ref[[]byte], len(inputs))
	for i, in := range inputs {
		f := s.task.Submit(ctx, c, mapIn[In]{In: in, Run: run.ID, Map: uint32(i), Parts: uint32(parts), Ranges: p.ranges, Cuts: cuts}, near(in)...)
		loose, refs[i] = append(loose, f), f.Ref()
	}
	for i := range run.Parts {
		run.Parts[i] = s.reduce.Submit(ctx, c, reduceIn[Arg]{Run: run.ID, Part: uint32(i), Parts: uint32(parts), Arg: arg, Outputs: refs}, o...)
	}
	for _, f := range loose {
		f.Release()
	}
	return run
}

// Results waits for all partitions and returns their results in order, or the first error
// in that order.
func (r *Run[Out]) Results(ctx context.Context) ([]Out, error) {
	out := make([]Out, len(r.Parts))
	for i, f := range r.Parts {
		var err error
		if out[i], err = f.Result(ctx); err != nil {
			return nil, fmt.Errorf("partition %d of %d: %w", i, len(r.Parts), err)
		}
	}
	return out, nil
}

// Release lets go of all results.
func (r *Run[Out]) Release() {
	for _, f := range r.Parts {
		f.Release()
	}
}

// runMap is a map task.
func runMap[In, K, V any](ctx context.Context, spec *Spec[K, V], mapper func(context.Context, In, *Emitter[K, V]) error, in mapIn[In]) (*engine.Stream, error) {
	where := &partitioner{parts: int(in.Parts), ranges: in.Ranges}
	var err error
	if where.cuts, err = engine.Get(ctx, in.Cuts); err != nil {
		return nil, err
	}
	b := newBuffer(spec, where)
	defer b.close()
	if err := mapper(ctx, in.In, &Emitter[K, V]{spec: spec, emit: b.add, ctx: ctx}); err != nil {
		return nil, err
	}
	info, _ := engine.Info(ctx)
	out := &spool{limit: spec.memory() / 3}
	w := &outputWriter{to: out, who: maker{Run: in.Run, Map: in.Map, Attempt: uint32(info.Attempt), Parts: in.Parts}}
	if err := b.finish(w); err != nil {
		out.Close()
		return nil, err
	}
	return engine.NewStream(io.NewSectionReader(out, 0, out.size), out.size, out.Close), nil
}

// runReduce is a reduce task.
func runReduce[K, V, Arg, Out any](ctx context.Context, spec *Spec[K, V], reducer func(context.Context, Part[Arg], *Groups[K, V]) (Out, error), in reduceIn[Arg]) (out Out, err error) {
	f := &fetcher[K, V]{ctx: ctx, spec: spec}
	defer f.spilled.Close()
	m, err := f.open(maker{Run: in.Run, Parts: in.Parts}, int(in.Part), in.Outputs)
	if err != nil {
		return out, fmt.Errorf("partition %d: %w", in.Part, err)
	}
	g := &Groups[K, V]{ctx: ctx, spec: spec, m: m, Records: f.records}
	out, err = reducer(ctx, Part[Arg]{Index: int(in.Part), Parts: int(in.Parts), Arg: in.Arg}, g)
	if g.err != nil {
		return out, errors.Join(fmt.Errorf("partition %d: %w", in.Part, g.err), err)
	}
	return out, err
}

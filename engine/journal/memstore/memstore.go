// Package memstore keeps a journal in memory, for tests, and misbehaves as it is told: errors before and
// after an effect, effects that come later, calls that hang, files that end anywhere behind what
// was flushed, and with holes there, lists that are not of one moment.
//
// A Dir is the directory, and a Process what one process sees of it. Two processes are two writers, of
// which one may be a zombie.
package memstore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/yarnd/yarnd/engine/journal"
)

// ErrKilled is what calls of a killed process return.
var ErrKilled = errors.New("the process was killed")

// Call is what a process is about to do.
type Call struct {
	// Op is list, rest (the second half of a list), create, seal, open, read, remove, write, flush or close.
	Op   string
	Name string // of the file; empty for list
}

// Effect says when a call does what it is for.
type Effect int

const (
	Now   Effect = iota // before it returns
	Never               // not at all: with an error
	Later               // when Dir.Settle is called, or not at all: with an error
)

// Verdict is what becomes of a call. The zero Verdict lets it work. A write with an error has a part of its effect.
type Verdict struct {
	Effect Effect
	Err    error
}

// Dir is a directory of files. Its methods may be called from many goroutines.
type Dir struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	holes bool
	files map[string]*data
	late  []func()
}

// data is a file. It is guarded by its directory.
type data struct {
	bytes   []byte
	flushed int // so many survive
	sealed  bool
	removed bool
}

// New makes an empty directory. What is left of bytes that were not flushed is taken from the seed; with
// holes some of them are zero, as on a disk after a loss of power.
func New(seed uint64, holes bool) *Dir {
	return &Dir{rnd: rand.New(rand.NewPCG(seed, 0)), holes: holes, files: map[string]*data{}}
}

// Settle lets one effect come that was put off, and says whether there was one.
func (d *Dir) Settle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.late) == 0 {
		return false
	}
	i := d.rnd.IntN(len(d.late))
	f := d.late[i]
	d.late = slices.Delete(d.late, i, i+1)
	f()
	return true
}

// Files names what there is, in order.
func (d *Dir) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files))
}

// Bytes returns what a file holds at present.
func (d *Dir) Bytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return slices.Clone(f.bytes)
	}
	return nil
}

// Put makes a sealed file, or replaces one.
func (d *Dir) Put(name string, p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[name] = &data{bytes: slices.Clone(p), flushed: len(p), sealed: true}
}

// Process is a journal.Store over a Dir.
type Process struct {
	d    *Dir
	hook func(context.Context, Call) Verdict

	mu     sync.Mutex
	killed bool
}

var _ journal.Store = (*Process)(nil)

// Process returns what one process sees. hook, if there is one, decides on each of its calls, from whose
// goroutine it is called; while it does not return the call hangs, which it may not for long after the context has ended.
func (d *Dir) Process(hook func(context.Context, Call) Verdict) *Process {
	if hook == nil {
		hook = func(context.Context, Call) Verdict { return Verdict{} }
	}
	return &Process{d: d, hook: hook}
}

// Kill ends the process: no call has an effect any more, but those that were put off.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
}

// do decides on a call, and lets it have its effect.
func (p *Process) do(ctx context.Context, op, name string, effect func() error) error {
	return p.decided(ctx, op, name, func(Verdict) error { return effect() })
}

// decided is do for an effect that depends on the verdict.
func (p *Process) decided(ctx context.Context, op, name string, effect func(Verdict) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v := p.hook(ctx, Call{op, name})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return ErrKilled
	}
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	switch v.Effect {
	case Never:
		return v.Err
	case Later:
		p.d.late = append(p.d.late, func() { _ = effect(v) })
		return v.Err
	}
	if err := effect(v); err != nil {
		return err
	}
	return v.Err
}

// List implements journal.Store. It has two halves, as a list of several answers has.
func (p *Process) List(ctx context.Context) ([]string, error) {
	var names []string
	half := func(from, to string) func() error {
		return func() error {
			for n := range p.d.files {
				if from <= n && n < to {
					names = append(names, n)
				}
			}
			return nil
		}
	}
	if err := p.do(ctx, "list", "", half("", "segment")); err != nil {
		return nil, err
	}
	if err := p.do(ctx, "rest", "", half("segment", "\xff")); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// Create implements journal.Store.
func (p *Process) Create(ctx context.Context, name string) (journal.File, error) {
	f := &data{}
	err := p.do(ctx, "create", name, func() error {
		if p.d.files[name] != nil {
			return fs.ErrExist
		}
		p.d.files[name] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &file{p, name, f}, nil
}

// with calls effect with a file that is there.
func (d *Dir) with(name string, effect func(*data) error) func() error {
	return func() error {
		f := d.files[name]
		if f == nil {
			return fs.ErrNotExist
		}
		return effect(f)
	}
}

// Seal implements journal.Store.
func (p *Process) Seal(ctx context.Context, name string) error {
	return p.do(ctx, "seal", name, p.d.with(name, func(f *data) error {
		if f.sealed {
			return nil
		}
		loose := f.bytes[f.flushed:]
		if p.d.rnd.IntN(3) > 0 {
			loose = loose[:p.d.rnd.IntN(len(loose)+1)]
		}
		if p.d.holes && len(loose) > 0 && p.d.rnd.IntN(2) == 0 {
			from := p.d.rnd.IntN(len(loose))
			clear(loose[from : from+p.d.rnd.IntN(len(loose)-from)+1])
		}
		f.bytes = f.bytes[:f.flushed+len(loose)]
		f.flushed, f.sealed = len(f.bytes), true
		return nil
	}))
}

// Open implements journal.Store.
func (p *Process) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r := &reader{p: p, ctx: ctx, name: name}
	err := p.do(ctx, "open", name, p.d.with(name, func(f *data) error {
		r.file = f
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Remove implements journal.Store.
func (p *Process) Remove(ctx context.Context, name string) error {
	return p.do(ctx, "remove", name, p.d.with(name, func(f *data) error {
		f.removed = true
		delete(p.d.files, name)
		return nil
	}))
}

// file is one that is written.
type file struct {
	p    *Process
	name string
	data *data
}

func (f *file) Write(ctx context.Context, p []byte) error {
	p = slices.Clone(p) // it may come later
	return f.p.decided(ctx, "write", f.name, func(v Verdict) error {
		if v.Err != nil {
			p = p[:f.p.d.rnd.IntN(len(p)+1)]
		}
		if !f.data.sealed { // or it goes nowhere, and Flush says so
			f.data.bytes = append(f.data.bytes, p...)
		}
		return nil
	})
}

func (f *file) Flush(ctx context.Context) error {
	return f.p.do(ctx, "flush", f.name, func() error {
		if f.data.sealed || f.data.removed {
			return journal.ErrSealed
		}
		f.data.flushed = len(f.data.bytes)
		return nil
	})
}

func (f *file) Close(ctx context.Context) error {
	return f.p.do(ctx, "close", f.name, func() error { return nil })
}

// reader reads a file. One that was removed cannot be read on.
type reader struct {
	p    *Process
	ctx  context.Context
	name string
	file *data
	off  int
}

func (r *reader) Read(p []byte) (n int, err error) {
	err = r.p.do(r.ctx, "read", r.name, func() error {
		if r.file.removed {
			return errors.New("the file was removed")
		}
		if r.off == len(r.file.bytes) {
			return io.EOF
		}
		n = copy(p, r.file.bytes[r.off:])
		r.off += n
		return nil
	})
	return n, err
}

func (r *reader) Close() error { return nil }

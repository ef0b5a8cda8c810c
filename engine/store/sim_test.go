package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd/engine/checksum"
)

func size(n int) string { return fmt.Sprintf("%dKiB", n>>10) }

// fakeDisk is a disk in memory that fails and damages when it is told to.
type fakeDisk struct {
	mu    sync.Mutex
	files map[string]*fakeFile
	open  int
	fault func(op string) error // nil, or what an operation fails with; errFlip: it lies
}

var errFlip = errors.New("a bit is flipped")

type fakeFile struct {
	d    *fakeDisk
	data []byte
}

func (d *fakeDisk) fail(op string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(op)
}

func (d *fakeDisk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail("create"); err != nil {
		return nil, err
	}
	f := &fakeFile{d: d}
	d.files[name] = f
	d.open++
	return f, nil
}

func (d *fakeDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return nil
}

func (f *fakeFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.fail("write")
	if err != nil && err != errFlip {
		return 0, err
	}
	if n := int(off) + len(p); n > len(f.data) {
		f.data = append(f.data, make([]byte, n-len(f.data))...)
	}
	copy(f.data[off:], p)
	if err == errFlip && len(p) > 0 {
		f.data[int(off)+len(p)/2] ^= 4
	}
	return len(p), nil
}

func (f *fakeFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.fail("read"); err != nil {
		return 0, err
	}
	return bytes.NewReader(f.data).ReadAt(p, off)
}

func (f *fakeFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.open--
	return nil
}

// twin is the slow and obvious store: what is held, in the order of its last use.
type twin struct {
	t     *testing.T
	rnd   *rand.Rand
	s     *Store
	disk  *fakeDisk
	held  map[Key][]byte
	order []Key // coldest first
	blobs []opened
	works []work
	flips int
	fails int
}

type opened struct {
	b    *Blob
	data []byte
}

type work struct {
	w    *Writer
	key  Key
	data []byte
	done int   // bytes written
	todo []int // blocks to fill, when they come as blocks
}

func (tw *twin) used(k Key) {
	tw.order = append(slices.DeleteFunc(tw.order, func(o Key) bool { return o == k }), k)
}

// mayFail says what the disk does: with faults on, a twentieth of all goes wrong.
func (tw *twin) mayFail(op string) error {
	if tw.rnd.IntN(20) > 0 {
		return nil
	}
	switch op {
	case "write":
		if tw.rnd.IntN(2) == 0 {
			tw.flips++
			return errFlip
		}
		tw.fails++
		return syscall.ENOSPC
	case "create":
		tw.fails++
		return syscall.ENOSPC
	}
	tw.fails++
	return syscall.EIO
}

// known reports whether an error is one that the faults explain.
func (tw *twin) known(err error) bool {
	if _, ok := errors.AsType[*CorruptError](err); ok {
		return tw.flips > 0
	}
	de, ok := errors.AsType[*DiskError](err)
	return ok && tw.fails > 0 && (errors.Is(de, syscall.ENOSPC) || errors.Is(de, syscall.EIO))
}

func (tw *twin) key() Key { return key(tw.rnd.Uint32N(12)) }

func (tw *twin) data() []byte {
	n := [...]int{0, 1, 4096, 4097, 60_000, checksum.Block, checksum.Block + 1, 2*checksum.Block + 77, 3 * checksum.Block}[tw.rnd.IntN(9)]
	return pattern(n, byte(tw.rnd.Uint32()))
}

// begin starts a writer of one of the three kinds.
func (tw *twin) begin() {
	k, data := tw.key(), tw.data()
	kind := tw.rnd.IntN(3)
	n := int64(len(data))
	if kind == 0 {
		n = Unknown
	}
	memory, disk := tw.s.plan.memory, tw.s.plan.disk
	w, err := tw.s.Create(k, n)
	fits := footprint(max(n, 0))+memory <= tw.s.plan.budget || uint64(max(n, 0))+disk <= tw.s.plan.limit
	switch {
	case errors.Is(err, ErrHeld):
		if tw.held[k] == nil {
			tw.t.Errorf("%v is not held", k)
		}
	case isFull(err):
		if fits {
			tw.t.Errorf("%d bytes fit: %v", n, err)
		}
	case err != nil:
		if !tw.known(err) {
			tw.t.Errorf("create: %v", err)
		}
	case !fits:
		tw.t.Errorf("%d bytes do not fit, and were taken", n)
	default:
		work := work{w: w, key: k, data: data, done: 0}
		if kind == 2 {
			work.todo = tw.rnd.Perm(checksum.Blocks(n))
			work.done = len(data)
		}
		tw.works = append(tw.works, work)
	}
}

// advance lets a writer go on, or end.
func (tw *twin) advance() {
	if len(tw.works) == 0 {
		return
	}
	i := tw.rnd.IntN(len(tw.works))
	wk := &tw.works[i]
	var err error
	switch {
	case tw.rnd.IntN(15) == 0:
		wk.w.Abort()
		tw.works = slices.Delete(tw.works, i, i+1)
		return
	case len(wk.todo) > 0:
		err = tw.fill(wk)
	case wk.done < len(wk.data):
		n := min(len(wk.data)-wk.done, 1+tw.rnd.IntN(checksum.Block*3/2))
		_, err = wk.w.Write(wk.data[wk.done : wk.done+n])
		wk.done += n
	default:
		err = wk.w.Commit()
		if err == nil {
			tw.held[wk.key] = wk.data
			tw.used(wk.key)
		} else if errors.Is(err, ErrHeld) && tw.held[wk.key] != nil {
			err = nil
		}
		tw.works = slices.Delete(tw.works, i, i+1)
		if err != nil && !tw.known(err) {
			tw.t.Errorf("commit: %v", err)
		}
		return
	}
	if err == nil {
		return
	}
	if !tw.known(err) && !isFull(err) {
		tw.t.Errorf("write: %v", err)
	}
	if len(wk.todo) == 0 && tw.rnd.IntN(2) == 0 {
		if again := wk.w.Commit(); again == nil {
			tw.t.Errorf("committed after %v", err)
		}
	}
	wk.w.Abort()
	tw.works = slices.Delete(tw.works, i, i+1)
}

func (tw *twin) fill(wk *work) error {
	j := wk.todo[0]
	b, err := wk.w.Block(j)
	if err != nil {
		return err
	}
	n := copy(b, wk.data[j*checksum.Block:])
	if tw.rnd.IntN(5) == 0 {
		wk.w.Drop(j, b)
		return nil
	}
	wk.todo = wk.todo[1:]
	return wk.w.Filled(j, b, checksum.Of(wk.data[j*checksum.Block:][:n]))
}

func (tw *twin) openOne() {
	k := tw.key()
	b, err := tw.s.Open(k)
	want := tw.held[k]
	switch {
	case errors.Is(err, ErrNotFound):
		if want != nil {
			tw.t.Errorf("%v is held", k)
		}
	case err != nil:
		if !tw.known(err) {
			tw.t.Errorf("open: %v", err)
		}
	case want == nil || b.Size() != int64(len(want)):
		tw.t.Errorf("opened %v, which is not held or another", k)
	default:
		tw.blobs = append(tw.blobs, opened{b, want})
		if tw.s.held[k].memory != nil {
			tw.used(k)
		}
	}
}

func (tw *twin) readOne() {
	if len(tw.blobs) == 0 {
		return
	}
	i := tw.rnd.IntN(len(tw.blobs))
	o := tw.blobs[i]
	if tw.rnd.IntN(3) == 0 {
		o.b.Close()
		tw.blobs = slices.Delete(tw.blobs, i, i+1)
		return
	}
	off := tw.rnd.IntN(len(o.data) + 1)
	p := make([]byte, tw.rnd.IntN(len(o.data)-off+2))
	n, err := o.b.ReadAt(p, int64(off))
	if err != nil && !(err == io.EOF && off+len(p) > len(o.data)) {
		if !tw.known(err) {
			tw.t.Errorf("read: %v", err)
		}
	} else if n != min(len(p), len(o.data)-off) {
		tw.t.Errorf("%d bytes of %d at %d of %d", n, len(p), off, len(o.data))
	}
	if !bytes.Equal(p[:n], o.data[off:off+n]) {
		tw.t.Errorf("wrong bytes of %v", o.b.entry.key)
	}
	if tw.rnd.IntN(4) == 0 && !slices.Equal(o.b.Sums(), checksum.All(o.data)) {
		tw.t.Errorf("wrong sums of %v", o.b.entry.key)
	}
}

// step does one random thing.
func (tw *twin) step() {
	switch tw.rnd.IntN(8) {
	case 0, 1:
		tw.begin()
	case 2, 3:
		tw.advance()
	case 4:
		tw.openOne()
	case 5:
		tw.readOne()
	case 6:
		if k := tw.key(); tw.s.Delete(k) != (tw.held[k] != nil) {
			tw.t.Errorf("delete of %v", k)
		} else {
			delete(tw.held, k)
			tw.order = slices.DeleteFunc(tw.order, func(o Key) bool { return o == k })
		}
	case 7:
		tw.move()
	}
}

// move lets the mover do one thing, which must be the right one.
func (tw *twin) move() {
	p := &tw.s.plan
	var want *entry
	if p.memory > p.low {
		for _, k := range tw.order {
			e := tw.s.held[k]
			if e.memory != nil && e.memory.refs == 1 && (e.file != nil || uint64(e.size)+p.disk <= p.limit) {
				want = e
				break
			}
		}
	}
	was := map[Key]bool{}
	for k, e := range tw.s.held {
		was[k] = e.memory != nil
	}
	failed := tw.fails
	tw.s.move()
	for k, e := range tw.s.held {
		switch now := e.memory != nil; {
		case now == was[k]:
			if e == want && failed == tw.fails {
				tw.t.Errorf("%v is the coldest, and stays", k)
			}
		case now:
			tw.used(k)
		case e != want:
			tw.t.Errorf("%v leaves, and is not the coldest", k)
		}
	}
}

// check compares the accounts with what there is, and the order with the twin's.
func (tw *twin) check() {
	s := tw.s
	entries := map[*entry]bool{}
	memory, disk := map[*spans]bool{}, map[*spilled]bool{}
	note := func(e *entry) {
		entries[e] = true
		if e.memory != nil {
			memory[e.memory] = true
		}
		if e.file != nil {
			disk[e.file] = true
		}
	}
	for _, e := range s.held {
		note(e)
	}
	for _, w := range tw.works {
		note(w.w.entry)
	}
	names := map[string]bool{}
	for f := range disk {
		names[f.name] = true
	}
	for _, o := range tw.blobs {
		if o.b.memory != nil {
			memory[o.b.memory] = true
		} else {
			disk[o.b.file] = true
			names[o.b.file.name] = true
		}
	}
	var bytesMemory, bytesDisk uint64
	for m := range memory {
		bytesMemory += m.taken
	}
	for f := range disk {
		bytesDisk += f.size
	}
	if st := s.Stats(); st.Memory != bytesMemory || st.Disk != bytesDisk || st.Results != len(tw.held) {
		tw.t.Errorf("%+v, want %d results, %d and %d bytes", st, len(tw.held), bytesMemory, bytesDisk)
	}
	if s.plan.memory > s.plan.budget || s.plan.disk > s.plan.limit {
		tw.t.Errorf("over the budget: %+v", s.plan)
	}
	var order, want []Key
	for e := s.plan.coldest; e != nil; e = e.warmer {
		order = append(order, e.key)
	}
	for _, k := range tw.order {
		if s.held[k].memory != nil {
			want = append(want, k)
		}
	}
	if !slices.Equal(order, want) {
		tw.t.Errorf("order %v, want %v", order, want)
	}
	for name := range tw.disk.files {
		if !names[name] {
			tw.t.Errorf("file %s is nobody's", name)
		}
	}
}

// end closes everything, in one of two orders, and looks for what is left.
func (tw *twin) end() {
	early := tw.rnd.IntN(2) == 0
	if early {
		tw.s.Close()
	}
	for _, w := range tw.works {
		if err := w.w.Commit(); early && err == nil {
			tw.t.Error("committed to a closed store")
		}
		w.w.Abort()
	}
	for _, o := range tw.blobs {
		o.b.Close()
	}
	tw.s.Close()
	if st := tw.s.Stats(); st.Memory != 0 || st.Disk != 0 || st.Results != 0 || len(tw.disk.files) != 0 || tw.disk.open != 0 || tw.s.files.Load() != 0 || tw.s.memory.mapped != 0 {
		tw.t.Errorf("left: %+v, %d files, %d open, %d bytes mapped", st, len(tw.disk.files), tw.disk.open, tw.s.memory.mapped)
	}
}

// TestAgainstTwin does random things, with and without faults of the disk, and
// compares the store with the twin after each.
func TestAgainstTwin(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() || underRace {
		seeds = 20
	}
	var spilled, back uint64
	var flips, fails int
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 5))
		d := &fakeDisk{files: map[string]*fakeFile{}}
		tw := &twin{t: t, rnd: rnd, disk: d, held: map[Key][]byte{}}
		tw.s = New(Options{Memory: 8 << 20, Dir: "x", Disk: 24 << 20})
		tw.s.manual, tw.s.disk = true, fakeFolder{d}
		if seed%2 == 1 {
			d.fault = tw.mayFail
		}
		for i := range 150 {
			tw.step()
			tw.check()
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, i)
			}
		}
		st := tw.s.Stats()
		spilled, back, flips, fails = spilled+st.Spilled, back+st.Back, flips+tw.flips, fails+tw.fails
		tw.end()
		if t.Failed() {
			t.Fatalf("seed %d, at the end", seed)
		}
	}
	if spilled == 0 || back == 0 || flips == 0 || fails == 0 {
		t.Errorf("the simulation is too tame: %d bytes spilled, %d back, %d flips, %d failures", spilled, back, flips, fails)
	}
}

// fakeFolder makes a fakeDisk a disk.
type fakeFolder struct{ *fakeDisk }

func (d fakeFolder) open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail("open"); err != nil {
		return nil, err
	}
	f := d.files[name]
	if f == nil {
		return nil, os.ErrNotExist
	}
	d.fakeDisk.open++
	return f, nil
}

// TestManyAtOnce does the same from many goroutines on a real disk, with the mover at
// work; the race detector looks on.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Memory: 1 << 20, Dir: dir, Failed: func(err error) { t.Error(err) }})
	var wg sync.WaitGroup
	for g := range uint32(8) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			for range 200 {
				// Two goroutines share each half of the keys.
				k := key(g/2*100 + rnd.Uint32N(6))
				if rnd.IntN(4) == 0 {
					s.Delete(k)
					continue
				}
				data := bytes.Repeat([]byte{byte(k.Task.Index)}, rnd.IntN(120_000))
				if err := s.Put(k, data); err != nil && !errors.Is(err, ErrHeld) {
					t.Error(err)
				}
				b, err := s.Open(k)
				if err != nil {
					if !errors.Is(err, ErrNotFound) {
						t.Error(err)
					}
					continue
				}
				got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
				if err != nil || bytes.Count(got, []byte{byte(k.Task.Index)}) != int(b.Size()) {
					t.Errorf("wrong bytes, %v", err)
				}
				b.Close()
			}
		})
	}
	wg.Wait()
	s.Close()
	if st := s.Stats(); st.Memory != 0 || st.Disk != 0 || s.memory.mapped != 0 {
		t.Errorf("after Close: %+v", st)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("files left: %v", files)
	}
}

package graph

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestBatchRows(t *testing.T) {
	b := &Batch{
		Job: 1, First: 10, Class: []ClassID{0, 0, 1},
		DepEnd: []uint32{0, 1, 3}, Deps: []TaskID{{1, 10}, {1, 3}, {2, 0}},
		PayEnd: []uint32{5, 9, 9}, Payload: []byte("helloabcd"),
		HostEnd: []uint32{1, 1, 2}, Hosts: []uint32{1, 0}, HostNames: []string{"a", "b"},
		Loose: []byte{0b101},
	}
	if err := b.Check(2); err != nil {
		t.Fatal(err)
	}
	if d := b.DepsOf(2); len(d) != 2 || d[1] != (TaskID{2, 0}) || len(b.DepsOf(0)) != 0 {
		t.Errorf("dependencies %v, %v", b.DepsOf(0), d)
	}
	if p := string(b.PayloadOf(1)); p != "abcd" || len(b.PayloadOf(2)) != 0 {
		t.Errorf("payload %q", p)
	}
	if h := b.HostsOf(2); len(h) != 1 || h[0] != 0 {
		t.Errorf("hosts %v", h)
	}
	if !b.IsLoose(0) || b.IsLoose(1) || !b.IsLoose(2) {
		t.Error("loose bits are read wrongly")
	}
	// A row is a view that cannot grow into its neighbour.
	if p := append(b.PayloadOf(0), '!'); string(b.Payload) != "helloabcd" || string(p) != "hello!" {
		t.Errorf("appending to a row changed the next: %q", b.Payload)
	}
}

func TestBatchCheckFinds(t *testing.T) {
	for _, k := range []struct {
		want string
		b    Batch
	}{
		{"class 2 is not declared", Batch{Class: []ClassID{2}}},
		{"at most", Batch{First: 1<<32 - 2, Class: make([]ClassID, 2)}},
		{"ends for", Batch{Class: make([]ClassID, 2), DepEnd: []uint32{0}}},
		{"without ends", Batch{Class: make([]ClassID, 1), Payload: []byte{1}}},
		{"go backwards", Batch{Class: make([]ClassID, 2), PayEnd: []uint32{2, 1}, Payload: []byte{1}}},
		{"ends at 3 of 1", Batch{Class: make([]ClassID, 1), PayEnd: []uint32{3}, Payload: []byte{1}}},
		{"ends at 0 of 1", Batch{Class: make([]ClassID, 1), HostEnd: []uint32{0}, Hosts: []uint32{0}, HostNames: []string{"a"}}},
		{"is not named", Batch{Class: make([]ClassID, 1), HostEnd: []uint32{1}, Hosts: []uint32{1}, HostNames: []string{"a"}}},
		{"loose column", Batch{Class: make([]ClassID, 9), Loose: []byte{1}}},
		{"must come before", Batch{Job: 1, First: 5, Class: make([]ClassID, 1), DepEnd: []uint32{1}, Deps: []TaskID{{1, 5}}}},
	} {
		if err := k.b.Check(2); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("Check of %+v says %v, want %q", k.b, err, k.want)
		}
	}
}

// FuzzBatchCheck: whatever passes Check can be read without harm.
func FuzzBatchCheck(f *testing.F) {
	f.Add([]byte{2, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0}, uint8(1))
	f.Add([]byte{9, 255, 255, 255, 255, 3, 0, 1, 2}, uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, flags uint8) {
		next := func() uint32 {
			var v [4]byte
			data = data[copy(v[:1], data):]
			return binary.LittleEndian.Uint32(v[:])
		}
		ends := func(on bool, n int) (e []uint32) {
			for range n {
				if on {
					e = append(e, next())
				}
			}
			return e
		}
		n := int(next() % 16)
		b := &Batch{Job: 1, First: next(), Class: make([]ClassID, n)}
		b.DepEnd, b.PayEnd, b.HostEnd = ends(flags&1 != 0, n), ends(flags&2 != 0, n), ends(flags&4 != 0, n)
		for range next() % 8 {
			b.Deps = append(b.Deps, TaskID{JobID(next() % 3), next()})
			b.Hosts = append(b.Hosts, next())
			b.HostNames = append(b.HostNames, "h")
		}
		if flags&8 != 0 {
			b.Loose = make([]byte, next()%4)
		}
		b.Payload = data
		if b.Check(1) != nil {
			return
		}
		rows := 0
		for i := range b.Len() {
			rows += len(b.DepsOf(i)) + len(b.PayloadOf(i)) + len(b.HostsOf(i))
			for _, d := range b.DepsOf(i) {
				if d.Job == b.Job && d.Index >= b.First+uint32(i) {
					t.Fatalf("task %d depends on %v", i, d)
				}
			}
			for _, h := range b.HostsOf(i) {
				_ = b.HostNames[h]
			}
			b.IsLoose(i)
		}
		if rows != len(b.Deps)+len(b.Payload)+len(b.Hosts) {
			t.Fatalf("%d values in rows of %d", rows, len(b.Deps)+len(b.Payload)+len(b.Hosts))
		}
	})
}

func TestDigest(t *testing.T) {
	d := Digest{1, 0xab}
	back, err := ParseDigest(d.String())
	if err != nil || back != d || d.IsZero() || !(Digest{}).IsZero() {
		t.Errorf("%v came back as %v: %v", d, back, err)
	}
	for _, bad := range []string{"", "12", strings.Repeat("zz", 32)} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q was taken for a digest", bad)
		}
	}
}

func TestTaskIDOrder(t *testing.T) {
	order := []TaskID{{1, 2}, {1, 3}, {2, 0}}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); got != min(1, max(-1, i-j)) {
				t.Errorf("%v.Compare(%v) = %d", a, b, got)
			}
		}
	}
	if s := order[1].String(); s != "1/3" {
		t.Errorf("written as %q", s)
	}
}

// Every kind has a name of its own.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for k := FailNone; k <= FailLost; k++ {
		seen[k.String()] = true
	}
	for k := KindGo; k <= KindPython; k++ {
		seen[k.String()] = true
	}
	if len(seen) != int(FailLost)+4 || seen["fail(?)"] || seen["kind(?)"] {
		t.Errorf("names: %v", seen)
	}
}

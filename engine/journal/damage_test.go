package journal_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/memstore"
)

// replay opens a journal and reads all of it.
func replay(t testing.TB, dir *memstore.Dir, epoch uint64) ([]string, error) {
	t.Helper()
	o, _ := options(dir.Process(nil), epoch)
	j, err := journal.Open(t.Context(), o)
	if err != nil {
		return nil, err
	}
	var got []string
	err = j.Replay(t.Context(), func(rec []byte) error {
		got = append(got, string(rec))
		return nil
	})
	return got, err
}

// written is a directory with a snapshot and two epochs' segments, and the records of a replay; the
// last of them were flushed last.
func written(t testing.TB) (dir *memstore.Dir, want []string, last int) {
	t.Helper()
	dir = memstore.New(1, false)
	a := begin(t, dir.Process(nil), 1)
	a.add("lost in the snapshot")
	a.settle(t)
	a.snap("snapshot 1", "snapshot 2")
	waitFor(t, func() bool {
		names := files(t, dir.Process(nil), "segment")
		return len(names) == 1 && !strings.HasSuffix(names[0], "-0000000001") // that one is before the snapshot
	})
	a.add("a1", "a2")
	a.settle(t)
	a.add("a3")
	a.close(t)
	b := begin(t, dir.Process(nil), 2)
	for _, rec := range []string{"b1", "b2", "b3"} {
		b.add(rec)
		b.settle(t)
	}
	b.close(t)
	return dir, []string{"snapshot 1", "snapshot 2", "a1", "a2", "a3", "b1", "b2", "b3"}, 1
}

// with copies a directory, with one file changed.
func with(dir *memstore.Dir, name string, p []byte) *memstore.Dir {
	c := memstore.New(1, false)
	for _, n := range dir.Files() {
		c.Put(n, dir.Bytes(n))
	}
	c.Put(name, p)
	return c
}

// damaged says that an error is one about damage, which names a file and what to do.
func damaged(err error) bool {
	var d *journal.DamageError
	var g *journal.GapError
	var v *journal.VersionError
	if !errors.As(err, &d) && !errors.As(err, &g) && !errors.As(err, &v) {
		return false
	}
	return strings.Contains(err.Error(), "-0000000000") && strings.Contains(err.Error(), "; ")
}

// Whatever byte is damaged: it is an error, or what was flushed last is missing, which looks as if it had
// never been flushed.
func TestOneDamagedByte(t *testing.T) {
	dir, want, last := written(t)
	lost := 0
	for _, name := range dir.Files() {
		whole := dir.Bytes(name)
		for i := range whole {
			for _, flip := range []byte{0x01, 0xff} {
				p := slices.Clone(whole)
				p[i] ^= flip
				got, err := replay(t, with(dir, name, p), 9)
				switch {
				case err != nil && !damaged(err):
					t.Fatalf("%s, byte %d: %v", name, i, err)
				case err == nil && !slices.Equal(got, want):
					if !slices.Equal(got, want[:len(want)-last]) || !strings.HasPrefix(name, "segment-00000000000000000002") {
						t.Fatalf("%s, byte %d: the replay is %q", name, i, got)
					}
					lost++
				}
			}
		}
	}
	if lost == 0 {
		t.Error("the last block was never damaged")
	}
}

// A file ends anywhere: the last one was torn, and of others nothing that counts may be missing.
func TestTornAnywhere(t *testing.T) {
	dir, want, _ := written(t)
	for _, name := range dir.Files() {
		whole := dir.Bytes(name)
		for i := range whole {
			got, err := replay(t, with(dir, name, whole[:i]), 9)
			switch {
			case err != nil && !damaged(err):
				t.Fatalf("%s, torn at byte %d: %v", name, i, err)
			case err == nil && (!strings.HasPrefix(name, "segment-00000000000000000002") || !prefix(got, want)):
				t.Fatalf("%s, torn at byte %d: the replay is %q", name, i, got)
			}
		}
	}
}

func TestMissingFile(t *testing.T) {
	dir, _, _ := written(t)
	for _, name := range dir.Files() {
		c := memstore.New(1, false)
		for _, n := range dir.Files() {
			if n != name {
				c.Put(n, dir.Bytes(n))
			}
		}
		_, err := replay(t, c, 9)
		needed := strings.HasPrefix(name, "snapshot") || strings.HasPrefix(name, "segment-00000000000000000001")
		if needed && !errors.As(err, new(*journal.GapError)) {
			t.Errorf("without %s: %v", name, err)
		} else if !needed && err != nil {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// What is behind a torn end is no part of the journal, though it looks like one: a record may hold
// another journal.
func TestJournalInARecord(t *testing.T) {
	inner, _, _ := written(t)
	var all []byte
	for _, name := range inner.Files() {
		all = append(all, inner.Bytes(name)...)
	}
	dir := memstore.New(1, false)
	a := begin(t, dir.Process(nil), 1)
	a.add("one")
	a.settle(t)
	a.add(string(all) + "end")
	a.close(t)
	name := files(t, dir.Process(nil), "segment")[0]
	whole := dir.Bytes(name)
	begins := bytes.Index(whole, all)
	for i := begins - 36; i < len(whole); i++ {
		if got, err := replay(t, with(dir, name, whole[:i]), 2); err != nil || !slices.Equal(got, []string{"one"}) {
			t.Fatalf("torn at byte %d: %.50q, %v", i, got, err)
		}
		p := slices.Clone(whole)
		p[i] ^= 1
		if got, err := replay(t, with(dir, name, p), 2); err != nil || !slices.Equal(got, []string{"one"}) {
			t.Fatalf("damaged at byte %d: %.50q, %v", i, got, err)
		}
	}
}

func TestFilesOfTwoJournals(t *testing.T) {
	a, _, _ := written(t)
	b, _, _ := written(t)
	name := files(t, a.Process(nil), "segment")[1]
	_, err := replay(t, with(a, name, b.Bytes(name)), 9)
	var d *journal.DamageError
	if !errors.As(err, &d) || !strings.Contains(err.Error(), "another journal") {
		t.Error(err)
	}
}

// FuzzReplay reads any bytes as a file of a journal.
func FuzzReplay(f *testing.F) {
	dir, _, _ := written(f)
	for _, name := range dir.Files() {
		p := dir.Bytes(name)
		f.Add(name, p)
		f.Add(name, p[:len(p)*2/3])
	}
	f.Fuzz(func(t *testing.T, name string, p []byte) {
		if strings.HasPrefix(name, ".") || name == "" {
			return
		}
		if _, err := replay(t, with(dir, name, p), 1<<60); err != nil && !damaged(err) && !errors.As(err, new(*journal.FencedError)) {
			t.Error(err)
		}
	})
}

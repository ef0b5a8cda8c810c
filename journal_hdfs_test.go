package yarnd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/journaltest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

func TestJournalStore(t *testing.T) {
	testJournalStore(t, hdfs.NewLocal(hdfs.LocalOptions{}), t.TempDir())
}

// testJournalStore holds a file system to what a journal needs.
func testJournalStore(t *testing.T, fsys hdfs.FS, root string) {
	n := 0
	fresh := func(t *testing.T) journaltest.Open {
		n++
		staging := path.Join(root, fmt.Sprint("store-", n))
		if err := fsys.MkdirAll(t.Context(), staging, 0o700); err != nil {
			t.Fatal(err)
		}
		dir := path.Join(staging, "journal")
		return func(t *testing.T) journal.Store {
			s, err := newHDFSJournal(t.Context(), fsys, dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	journaltest.TestStore(t, fresh)
	t.Run("what an application staged does not come back when it was removed", func(t *testing.T) {
		staging := path.Join(root, "removed")
		if _, err := newHDFSJournal(t.Context(), fsys, path.Join(staging, "journal")); err == nil {
			t.Error("a journal begins where there is no staging directory")
		}
		if _, err := fsys.Stat(t.Context(), staging); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the staging directory is there again: %v", err)
		}
	})
	t.Run("a zombie is fenced, and what it was told safe is replayed", func(t *testing.T) {
		open := fresh(t)
		a, told, fenced := openJournal(t, open(t), 1)
		a.Append([]byte("one"))
		a.Commit()
		for pos := range told {
			if pos == 1 {
				break
			}
		}
		b, told2, _ := openJournal(t, open(t), 2, "one")
		b.Append([]byte("two"))
		b.Commit()
		for pos := range told2 {
			if pos == 2 {
				break
			}
		}
		a.Append([]byte("zombie"))
		a.Commit()
		<-fenced
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		openJournal(t, open(t), 3, "one", "two")
	})
}

// openJournal begins an epoch, whose replay has to be as given.
func openJournal(t *testing.T, s journal.Store, epoch uint64, want ...string) (j *journal.Journal, told chan uint64, fenced chan error) {
	t.Helper()
	told, fenced = make(chan uint64, 1000), make(chan error, 1)
	j, err := journal.Open(t.Context(), journal.Options{Store: s, Epoch: epoch,
		OnFlushed: func(pos uint64) { told <- pos }, OnFenced: func(err error) { fenced <- err }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := j.Replay(t.Context(), func(rec []byte) error {
		got = append(got, string(rec))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("epoch %d found %d records, %.200q, not %d, %.200q", epoch, len(got), got, len(want), want)
	}
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = j.Close(ctx) // a zombie's is an error
	})
	return j, told, fenced
}

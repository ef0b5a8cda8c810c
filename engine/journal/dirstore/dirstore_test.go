package dirstore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/journaltest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	journaltest.TestStore(t, func(t *testing.T) journaltest.Open {
		dir := filepath.Join(t.TempDir(), "journal")
		return func(t *testing.T) journal.Store {
			s, err := New(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestOwnerOnly(t *testing.T) {
	s, err := New(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close(t.Context())
	for _, p := range []string{s.dir, s.path("x")} {
		if st, err := os.Stat(p); err != nil || st.Mode()&0o077 != 0 {
			t.Errorf("%s: %v %v", p, st.Mode(), err)
		}
	}
}

// A sealer that was killed leaves a file that cannot be written, without its length.
func TestSealedHalfWay(t *testing.T) {
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close(t.Context())
	if err := f.Write(t.Context(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path("x"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := f.Flush(t.Context()); err != journal.ErrSealed {
		t.Errorf("flush: %v", err)
	}
	if err := s.Seal(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.sealedLength("x"); n != 3 || err != nil {
		t.Errorf("length %d, %v", n, err)
	}
}

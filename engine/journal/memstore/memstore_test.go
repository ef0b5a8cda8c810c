package memstore

import (
	"context"
	"errors"
	"testing"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/journaltest"
)

func TestContract(t *testing.T) {
	journaltest.TestStore(t, func(t *testing.T) journaltest.Open {
		d := New(1, false)
		return func(t *testing.T) journal.Store { return d.Process(nil) }
	})
}

func TestEffectsComeLater(t *testing.T) {
	d := New(1, false)
	boom := errors.New("no answer")
	verdict := Verdict{Later, boom}
	p := d.Process(func(context.Context, Call) Verdict { return verdict })
	if _, err := p.Create(t.Context(), "x"); err != boom {
		t.Fatal(err)
	}
	if n := d.Files(); len(n) != 0 {
		t.Fatalf("there is %v", n)
	}
	p.Kill()
	if !d.Settle() || d.Settle() {
		t.Error("one effect was to come")
	}
	if n := d.Files(); len(n) != 1 {
		t.Errorf("there is %v", n)
	}
	if _, err := p.List(t.Context()); err != ErrKilled {
		t.Errorf("a killed process: %v", err)
	}
}

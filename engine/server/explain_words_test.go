package server

import (
	"testing"

	"github.com/yarnd/yarnd/engine/wire"
)

// What a person set since the last decision is not hidden by it.
func TestPoolWords(t *testing.T) {
	p := &wire.PoolNow{Name: "worker", Adapts: true, Max: 8, Wanted: 2}
	for _, tt := range []struct {
		latest *wire.Decision
		want   string
	}{
		{nil, "Pool worker shall have 2 workers, between 0 and 8: nothing was decided yet."},
		{&wire.Decision{Want: 2, Reason: "two do"}, "Pool worker shall have 2 workers, between 0 and 8: two do."},
		{&wire.Decision{Want: 1, Reason: "one does"}, "Pool worker shall have 2 workers, between 0 and 8; decided last were 1: one does."},
	} {
		p.Latest = tt.latest
		if got := poolWords(p); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

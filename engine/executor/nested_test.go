package executor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/yarnd/yarnd/engine/graph"
)

func FuzzNested(f *testing.F) {
	f.Add(appendNested(nil, 7, Nested{Stream: 1, Ack: 2, Code: 3, End: "over", Data: []byte("abc")}))
	f.Add(appendNested(nil, 7, Nested{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		call, n, err := parseNested(data)
		if err != nil {
			return
		}
		again, m, err := parseNested(appendNested(nil, call, n))
		if d := cmp.Diff(n, m, cmpopts.EquateEmpty()); err != nil || d != "" || call != again {
			t.Error(err, d)
		}
	})
}

func FuzzResultRead(f *testing.F) {
	f.Add(appendResultRead(nil, resultRead{read{1, 2, 0, 3, chunkSize}, ResultAt{graph.TaskID{Job: 1, Index: 2}, 3, 4, "c1", "h:1"}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseResultRead(data)
		if err != nil {
			return
		}
		again, err := parseResultRead(appendResultRead(nil, r))
		if err != nil || r != again {
			t.Errorf("%+v, %+v: %v", r, again, err)
		}
	})
}

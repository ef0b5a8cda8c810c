package transfer

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

func FuzzReadRequest(f *testing.F) {
	f.Add(appendRequest(nil, resultOf(graph.TaskID{Job: 1, Index: 2}, 3, 4, 1<<32-1)))
	f.Add(appendRequest(nil, bundleOf(graph.Digest{1, 2, 3})))
	f.Add(appendRequest(nil, object{op: opRange, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, offset: 1 << 40, count: 5}))
	f.Add([]byte{})
	f.Add([]byte{3, 1})
	f.Add(appendRequest(nil, object{op: opOutput, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, stream: 2, offset: 1 << 40}))
	f.Add(appendRequest(nil, object{op: opInput, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, stream: 1, offset: 7, data: []byte("input")}))
	f.Add(appendRequest(nil, object{op: opSignal, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, stream: 2}))
	f.Add(binary.BigEndian.AppendUint32(append([]byte{opInput}, make([]byte, 21)...), MaxInput+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readRequest(bytes.NewReader(data))
		if err != nil {
			return
		}
		if again := appendRequest(nil, o); !bytes.HasPrefix(data, again) {
			t.Errorf("%x reads as %v, which is %x", data, o, again)
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	f.Add(appendHeader(nil, statusFound, 1<<40))
	f.Add(appendHeader(nil, statusMissing, maxReason+1))
	f.Add(appendHeader(nil, statusCount, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, n, err := readHeader(bytes.NewReader(data))
		if err != nil {
			return
		}
		if st >= statusCount || st != statusFound && n > maxReason {
			t.Errorf("status %d, length %d", st, n)
		}
		if !bytes.HasPrefix(data, appendHeader(nil, st, n)) {
			t.Error("not what was read")
		}
	})
}

func FuzzReadMark(f *testing.F) {
	f.Add(appendMark(nil, statusFound, 1<<31))
	f.Add(appendMark(nil, statusFailed, maxReason+1))
	f.Add(appendMark(nil, statusCount, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, n, err := readMark(bytes.NewReader(data))
		if err != nil {
			return
		}
		if st >= statusCount || st != statusFound && n > maxReason {
			t.Errorf("status %d, %d", st, n)
		}
		if !bytes.HasPrefix(data, appendMark(nil, st, n)) {
			t.Error("not what was read")
		}
	})
}

package main

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/executor"
)

// The first outputs of the published generator with seed 1234567.
func TestSplitMix64(t *testing.T) {
	const gamma = 0x9e3779b97f4a7c15
	state := uint64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := splitmix64(state); got != want {
			t.Errorf("output %d: %d, want %d", i, got, want)
		}
		state += gamma
	}
	if got := splitmix64(0); got != 0xe220a8397b1dcdaf {
		t.Errorf("of 0: %x", got)
	}
}

func TestRunTask(t *testing.T) {
	w := work{id: 5, bytes: 20, count: []uint64{1, 3}}
	got := w.run([]uint64{100, 1000})
	want := append(binary.LittleEndian.AppendUint64(nil, splitmix64(5+100+3*1000)), bytes.Repeat([]byte{filler}, 12)...)
	if !bytes.Equal(got, want) {
		t.Errorf("result %x, want %x", got, want)
	}
	if _, err := runTask(t.Context(), &executor.Call{Payload: w.append(nil)}); err == nil {
		t.Error("a payload for two inputs is taken for a task with none")
	}
	if _, err := valueOf(got[:7]); err == nil {
		t.Error("seven bytes are a value")
	}
}

func FuzzParseWork(f *testing.F) {
	f.Add((&work{id: 1, us: 2, bytes: 300, count: []uint64{1, 2}}).append(nil), 2)
	f.Add([]byte{0x80}, 0)
	f.Fuzz(func(t *testing.T, b []byte, inputs int) {
		w, err := parseWork(b, inputs)
		if err != nil {
			return
		}
		again, err := parseWork(w.append(nil), inputs)
		if err != nil || !reflect.DeepEqual(again, w) {
			t.Fatalf("%+v came back as %+v: %v", w, again, err)
		}
	})
}

func TestUnique(t *testing.T) {
	long := func(twice bool) []uint32 {
		v := appendRange(nil, 0, 20)
		if twice {
			v = append(v, 3, 3)
		}
		slices.Reverse(v)
		return v
	}
	for _, k := range []struct {
		in, out []uint32
		counts  []uint64
	}{
		{nil, nil, nil},
		{[]uint32{4, 2}, []uint32{4, 2}, nil},
		{[]uint32{4, 2, 4, 4}, []uint32{2, 4}, []uint64{1, 3}},
		{long(false), appendRange(nil, 0, 20), nil},
		{long(true), appendRange(nil, 0, 20), []uint64{1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		out, counts := unique(slices.Clone(k.in), nil)
		if !slices.Equal(out, k.out) || !slices.Equal(counts, k.counts) {
			t.Errorf("%v: %v × %v, want %v × %v", k.in, out, counts, k.out, k.counts)
		}
	}
}

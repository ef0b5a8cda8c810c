package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine/shuffle"
)

// The shape shuffle moves rows of 100 bytes to the partitions of their keys, sorted. Row i
// is
//
//	key: splitmix64(i), 8 bytes │ i, 8 bytes │ 84 times the letter 'A' + i mod 26
//
// and its share of the checksum is splitmix64(key + i + letter + 84), so that a part of a
// row that was not moved shows. peers/on_spark.py has the same rows.
const (
	rowBytes = 100
	padBytes = rowBytes - 16
)

// shuffleMemory is how many bytes of records a task of a shuffle keeps: of two tasks at
// once, a part of what Spark is given.
const shuffleMemory = 256 * mib

// rowRange are the rows that one map task makes.
type rowRange struct{ First, End uint64 }

// tallied is what a reduce task, or all of them, got.
type tallied struct{ Records, Sum uint64 }

var rowShuffle = shuffle.Define("bench-rows", shuffle.Spec[uint64, []byte]{
	Key: shuffle.Uint64, Value: shuffle.Bytes, Memory: shuffleMemory,
}, makeRows, takeRows)

func letterOf(i uint64) byte { return 'A' + byte(i%26) }

func makeRows(_ context.Context, in rowRange, out *shuffle.Emitter[uint64, []byte]) error {
	var pads [26][]byte
	for i := range pads {
		pads[i] = bytes.Repeat([]byte{letterOf(uint64(i))}, padBytes)
	}
	value := make([]byte, rowBytes-8)
	for i := in.First; i < in.End; i++ {
		binary.LittleEndian.PutUint64(value, i)
		copy(value[8:], pads[i%26])
		if err := out.Emit(splitmix64(i), value); err != nil {
			return err
		}
	}
	return nil
}

// takeRows looks at every row, and that they come in the order of their keys.
func takeRows(_ context.Context, _ shuffle.Part[struct{}], groups *shuffle.Groups[uint64, []byte]) (t tallied, err error) {
	last := uint64(0)
	for key, values := range groups.All() {
		if key < last {
			return t, fmt.Errorf("key %d comes behind %d", key, last)
		}
		last = key
		for v := range values {
			if len(v) != rowBytes-8 {
				return t, fmt.Errorf("a row of %d bytes", len(v)+8)
			}
			t.Records++
			t.Sum += splitmix64(key + binary.LittleEndian.Uint64(v) + uint64(v[len(v)-1]) + uint64(len(v)-8))
		}
	}
	return t, groups.Err()
}

// rowsSum is what the checksum of n rows must come to.
func rowsSum(n uint64) (sum uint64) {
	for i := range n {
		sum += splitmix64(splitmix64(i) + i + uint64(letterOf(i)) + padBytes)
	}
	return sum
}

// halves says how many of a shuffle's tasks map and reduce.
func halves(tasks int) (maps, parts int) {
	parts = max(1, tasks/2)
	return max(1, tasks-parts), parts
}

// shuffleRows runs the shape shuffle.
func (d *driver) shuffleRows(ctx context.Context, rows uint64) (*run, error) {
	maps, parts := halves(d.o.tasks)
	inputs := make([]rowRange, maps)
	for i := range inputs {
		n := uint64(maps)
		inputs[i] = rowRange{uint64(i) * rows / n, uint64(i+1) * rows / n}
	}
	began := time.Now()
	shuffled := rowShuffle.Run(ctx, d.typed, inputs, struct{}{}, shuffle.Hash(parts))
	defer shuffled.Release()
	r, err := tally(ctx, shuffled)
	if err != nil {
		return nil, err
	}
	if r.Records != rows {
		return nil, fmt.Errorf("%d of %d rows came", r.Records, rows)
	}
	r.Wall, r.Tasks, r.Bytes = time.Since(began).Seconds(), maps+parts, rows*rowBytes
	return r, nil
}

// tally adds up what reduce tasks got.
func tally(ctx context.Context, shuffled *shuffle.Run[tallied]) (*run, error) {
	results, err := shuffled.Results(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{}
	for _, t := range results {
		r.Records += t.Records
		r.Sum += t.Sum
	}
	return r, nil
}

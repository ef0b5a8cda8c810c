package shuffle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The result of a map task is its segments, one for each partition in their order, an
// index, and a trailer, all numbers little endian:
//
//	segments │ entry 0 … entry R-1 │ trailer
//	entry:   offset u64, length u64, records u64, CRC-32C of the segment u32, of the entry u32
//	trailer: magic 8, version u32, run 16, map u32, attempt u32, partitions u32, CRC-32C u32
const (
	entryLen   = 32
	trailerLen = 44
	magic      = "yarndshf"
	version    = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// RunID names one run of a shuffle: what it fences its results with.
type RunID [16]byte

// maker says who made a map task's result.
type maker struct {
	Run     RunID
	Map     uint32 // number of the input
	Attempt uint32
	Parts   uint32
}

// segment is where a partition's records are in a result.
type segment struct {
	off, size int64
	records   uint64
	sum       uint32
}

// outputWriter writes a map task's result.
type outputWriter struct {
	to   *spool
	who  maker
	segs []segment
	buf  []byte // of the last segment, not atOnce
}

// atOnce is about how much of a segment is summed up and atOnce at once.
const atOnce = 32 << 10

// begin begins the next partition's segment.
func (w *outputWriter) begin() error {
	err := w.flush()
	w.segs = append(w.segs, segment{off: w.to.size})
	return err
}

func (w *outputWriter) add(key, value []byte) error {
	w.buf = appendRecord(w.buf, key, value)
	return w.added()
}

// addRecord adds an encoded record.
func (w *outputWriter) addRecord(record []byte) error {
	w.buf = append(w.buf, record...)
	return w.added()
}

func (w *outputWriter) added() error {
	w.segs[len(w.segs)-1].records++
	if len(w.buf) < atOnce {
		return nil
	}
	return w.flush()
}

// flush writes what there is of the last segment.
func (w *outputWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	s := &w.segs[len(w.segs)-1]
	s.size += int64(len(w.buf))
	s.sum = crc32.Update(s.sum, castagnoli, w.buf)
	_, err := w.to.Write(w.buf)
	if w.buf = w.buf[:0]; cap(w.buf) > 4*atOnce { // of a large record
		w.buf = nil
	}
	return err
}

// end writes index and trailer.
func (w *outputWriter) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	b := w.buf[:0]
	for _, s := range w.segs {
		b = appendEntry(b, s)
	}
	b = appendTrailer(b, w.who)
	if _, err := w.to.Write(b); err != nil {
		return err
	}
	return w.to.flush()
}

func appendSum(b []byte, from int) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func appendEntry(b []byte, s segment) []byte {
	from := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.off))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.size))
	b = binary.LittleEndian.AppendUint64(b, s.records)
	b = binary.LittleEndian.AppendUint32(b, s.sum)
	return appendSum(b, from)
}

func appendTrailer(b []byte, m maker) []byte {
	from := len(b)
	b = binary.LittleEndian.AppendUint32(append(b, magic...), version)
	b = append(b, m.Run[:]...)
	b = binary.LittleEndian.AppendUint32(b, m.Map)
	b = binary.LittleEndian.AppendUint32(b, m.Attempt)
	b = binary.LittleEndian.AppendUint32(b, m.Parts)
	return appendSum(b, from)
}

var errOutput = errors.New("not the result of a map task, or a damaged one")

func summed(b []byte) bool {
	n := len(b) - 4
	return binary.LittleEndian.Uint32(b[n:]) == crc32.Checksum(b[:n], castagnoli)
}

func parseTrailer(b []byte) (m maker, err error) {
	if len(b) != trailerLen || !summed(b) || string(b[:8]) != magic {
		return m, errOutput
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return m, fmt.Errorf("the result of a map task has version %d, this program reads %d", v, version)
	}
	copy(m.Run[:], b[12:])
	m.Map, m.Attempt, m.Parts = binary.LittleEndian.Uint32(b[28:]), binary.LittleEndian.Uint32(b[32:]), binary.LittleEndian.Uint32(b[36:])
	return m, nil
}

// parseEntry reads an entry; the segment lies within the first size bytes.
func parseEntry(b []byte, size int64) (s segment, err error) {
	if len(b) != entryLen || !summed(b) {
		return s, errOutput
	}
	off, length := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if off > uint64(size) || length > uint64(size)-off {
		return s, errOutput
	}
	return segment{int64(off), int64(length), binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint32(b[24:])}, nil
}

// sized is a result that can be read.
type sized interface {
	io.ReaderAt
	Size() int64
}

// tailRead is how much of a result's end is read at first: for results of few partitions
// that is all there is to know.
const tailRead = 4 << 10

// findSegment finds a partition in the result of a map task of this run.
func findSegment(r sized, want maker, part int) (s segment, err error) {
	index := int64(want.Parts) * entryLen
	if r.Size() < index+trailerLen {
		return s, errOutput
	}
	tail := make([]byte, min(r.Size(), max(trailerLen, tailRead)))
	from := r.Size() - int64(len(tail))
	if err := readFull(r, tail, from); err != nil {
		return s, err
	}
	m, err := parseTrailer(tail[len(tail)-trailerLen:])
	if err != nil {
		return s, err
	}
	if m.Run != want.Run || m.Map != want.Map || m.Parts != want.Parts {
		return s, fmt.Errorf("a result of run %x, map %d of %d partitions, where run %x, map %d of %d partitions belongs", m.Run, m.Map, m.Parts, want.Run, want.Map, want.Parts)
	}
	data := r.Size() - trailerLen - index
	at := data + int64(part)*entryLen
	entry := make([]byte, entryLen)
	if at >= from {
		copy(entry, tail[at-from:])
	} else if err := readFull(r, entry, at); err != nil {
		return s, err
	}
	return parseEntry(entry, data)
}

func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	return err
}

package graph

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// JobID numbers the jobs of one cluster. The scheduler gives them out from 1;
// 0 is no job.
type JobID uint32

// TaskID names a task of a cluster: the Index-th task, from 0, of a job.
type TaskID struct {
	Job   JobID
	Index uint32
}

// String returns "job/index", the form used in logs and on the command line.
func (t TaskID) String() string {
	return strconv.FormatUint(uint64(t.Job), 10) + "/" + strconv.FormatUint(uint64(t.Index), 10)
}

// Compare orders tasks by job, then by index.
func (t TaskID) Compare(u TaskID) int {
	switch {
	case t.Job != u.Job && t.Job < u.Job, t.Job == u.Job && t.Index < u.Index:
		return -1
	case t == u:
		return 0
	}
	return 1
}

// ClassID numbers the classes of one job, from 0.
type ClassID uint32

// Attempt names an assignment of one task; 0 is none. Those of one generation of the
// scheduler are counted from 1. A scheduler that takes over does not know what the one
// before it gave out last, so its own begin anew above all of those (FirstAttempt): an
// attempt is never given twice.
type Attempt uint32

// attemptBits is how many bits count the attempts of one generation. That is enough for
// 262,143 attempts of one task, and for 16,384 generations.
const attemptBits = 18

// FirstAttempt is the number below the first attempt of a generation, which counts from 0.
func FirstAttempt(generation uint32) Attempt { return Attempt(generation << attemptBits) }

// String returns the number for people: "3", or of a scheduler that took over "2.3", the
// third attempt that the second scheduler gave out.
func (a Attempt) String() string {
	n := strconv.FormatUint(uint64(a&(1<<attemptBits-1)), 10)
	if g := a.Generation(); g > 0 {
		return strconv.FormatUint(uint64(g)+1, 10) + "." + n
	}
	return n
}

// Generation returns which scheduler gave the attempt out.
func (a Attempt) Generation() uint32 { return uint32(a >> attemptBits) }

// WorkerID is a worker's incarnation number: it grows with each worker that
// joins and is never reused. 0 is no worker; as the holder of a result it means
// the scheduler itself.
type WorkerID uint32

// ClientID numbers the client sessions of one scheduler. 0 is no client.
type ClientID uint32

// Digest is a SHA-256 hash: the name of a bundle by its content. The zero
// Digest means the worker's own binary.
type Digest [32]byte

// IsZero reports whether d names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns d in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads the hexadecimal form.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return d, fmt.Errorf("digest of %d characters: want %d hexadecimal ones", len(s), 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return d, fmt.Errorf("digest %q: %w", s, err)
	}
	return d, nil
}

// Run is tasks of one job whose indices follow one another: N from First on.
type Run struct {
	Job      JobID
	First, N uint32
}

// End returns the index behind the last one, or the highest there is.
func (r Run) End() uint32 { return uint32(min(uint64(r.First)+uint64(r.N), 1<<32-1)) }

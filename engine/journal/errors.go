package journal

import (
	"fmt"
	"time"
)

// FencedError says that this epoch's time is over: a later one has opened the journal.
type FencedError struct {
	Own uint64
	By  uint64 // the later one; the own one if another process took the same number first
}

func (e *FencedError) Error() string {
	if e.By == e.Own {
		return fmt.Sprintf("another process has opened the journal as epoch %d already; give this one a higher number", e.Own)
	}
	return fmt.Sprintf("epoch %d of the journal is over: epoch %d has opened it, and goes on with all that was acknowledged; end this process", e.Own, e.By)
}

// DamageError says that records that were safe cannot be read.
type DamageError struct {
	File   string
	Offset int64 // bytes from the file's begin
	Why    string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the journal is damaged: %s at byte %d: %s; restore that file from a copy, or remove the journal's directory to begin without what it held", e.File, e.Offset, e.Why)
}

// GapError says that records are missing: a file was removed by hand, or damaged at its end.
type GapError struct {
	Have   uint64 // records up to this position were found
	File   string // the file that goes on later
	First  uint64 // and where
	Before string // the file that ends too early; empty if there is none
	Offset int64  // bytes of it that could be read
}

func (e *GapError) Error() string {
	before := "no file holds them"
	if e.Before != "" {
		before = fmt.Sprintf("%s can be read up to byte %d", e.Before, e.Offset)
	}
	return fmt.Sprintf("the journal lacks records %d to %d: %s, and %s goes on behind them; restore what is missing from a copy, or remove the journal's directory to begin without what it held",
		e.Have, e.First-1, before, e.File)
}

// VersionError says that another version of yarnd wrote the journal.
type VersionError struct {
	File    string
	Version uint16
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format %d of the journal, and this is a yarnd that reads format %d; start it with the version that wrote it", e.File, e.Version, version)
}

// AwayError says that the store fails or does not answer, since when, and what happens
// meanwhile. It is for people.
type AwayError struct {
	Op    string // "create", "write", "flush", "list", …
	File  string // empty for list
	Since time.Time
	Err   error // nil: no answer yet
}

func (e *AwayError) Error() string {
	what := e.Op
	if e.File != "" {
		what += " " + e.File
	}
	why := "no answer yet"
	if e.Err != nil {
		why = e.Err.Error()
	}
	return fmt.Sprintf("the journal is out of reach since %s: %s: %s; what runs goes on, nothing new is acknowledged, and it is tried again until it works",
		e.Since.Format(time.TimeOnly), what, why)
}

func (e *AwayError) Unwrap() error { return e.Err }

// callError says which call of the store failed.
type callError struct {
	op, file string
	err      error
}

func (e *callError) Error() string {
	if e.file == "" {
		return fmt.Sprintf("the journal's store: %s: %v", e.op, e.err)
	}
	return fmt.Sprintf("the journal's store: %s %s: %v", e.op, e.file, e.err)
}

func (e *callError) Unwrap() error { return e.err }

// unsafeError is Close's, when its context ended too early.
type unsafeError struct {
	records uint64
	why     error
}

func (e *unsafeError) Error() string {
	return fmt.Sprintf("the last %d records of the journal could not be made safe: %v; nobody was told that they were", e.records, e.why)
}

func (e *unsafeError) Unwrap() error { return e.why }

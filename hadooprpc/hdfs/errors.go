package hdfs

import (
	"errors"
	"io/fs"
	"strings"
)

// Kinds of failure beyond fs.ErrNotExist, fs.ErrExist, fs.ErrPermission and
// fs.ErrInvalid. An [*Error] wraps exactly one kind, or none when the failure
// is of no kind that a caller could act on.
var (
	ErrNotEmpty    = errors.New("directory is not empty")
	ErrIsDir       = errors.New("is a directory")
	ErrNotDir      = errors.New("is not a directory")
	ErrQuota       = errors.New("quota exceeded")
	ErrSafeMode    = errors.New("file system is in safe mode")
	ErrNoDataNode  = errors.New("no DataNode can take the data")
	ErrUnreachable = errors.New("file system cannot be reached")
	ErrUnsupported = errors.New("file system is not supported")
	ErrAuth        = errors.New("authentication failed")
	ErrFenced      = errors.New("another process has taken over the file")
	ErrUnprotected = errors.New("others on the network could read it")
	ErrLength      = errors.New("file has not the length that was written")
)

// Error is a failed operation on a file system. Its text says what failed, why,
// and, where something can be done, what to do next.
type Error struct {
	Op   string // "stat", "upload", …
	Path string // what the operation was about, as a URL where that helps
	Kind error  // one of the kinds above or an fs.Err…, or nil
	// Detail is the server's own explanation, without its stack trace.
	Detail string
	// Exception is the Java class of the failure, when a server named one.
	Exception string
	// Hint says what to do next.
	Hint string
	// Err is the cause when there is one below Kind.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + " " + e.Path)
	said := false
	if e.Kind != nil {
		b.WriteString(": " + e.Kind.Error())
		said = true
	}
	switch {
	case e.Detail != "":
		b.WriteString(": " + e.Detail)
		said = true
	case e.Err != nil:
		b.WriteString(": " + e.Err.Error())
		said = true
	}
	if !said {
		b.WriteString(": " + e.Exception)
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap gives both the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// badToken is what to do about a token that is refused.
const badToken = "the delegation token has expired or was cancelled: who has a ticket (kinit) gets another; where HADOOP_TOKEN_FILE_LOCATION names it, unset that first, or run the step of the workflow again"

// hints for the kinds that have a usual way out.
var hints = map[error]string{
	ErrQuota:       "remove files, or ask for a larger quota (hdfs dfs -count -q -v shows what is left)",
	ErrSafeMode:    "wait until it has left safe mode (hdfs dfsadmin -safemode get)",
	ErrNoDataNode:  "look at the DataNodes and their free space (hdfs dfsadmin -report)",
	ErrAuth:        badToken,
	ErrFenced:      "write to another file, if you still are who may",
	fs.ErrNotExist: "",
}

// newError makes an Error of a kind with the hint that goes with it.
func newError(op, path string, kind error) *Error {
	return &Error{Op: op, Path: path, Kind: kind, Hint: hints[kind]}
}

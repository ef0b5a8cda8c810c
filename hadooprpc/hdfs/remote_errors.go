package hdfs

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/colinmarc/hdfs/v2"
)

// errRetriable is the kind of an answer that asks to come again: the NameNode
// is starting or changing roles. It does not leave this package.
var errRetriable = errors.New("the NameNode is not ready")

// exceptionKinds maps the classes of Hadoop's exceptions, by the part after
// the last dot, to ours.
var exceptionKinds = map[string]error{
	"FileNotFoundException":               fs.ErrNotExist,
	"FileAlreadyExistsException":          fs.ErrExist,
	"AlreadyBeingCreatedException":        fs.ErrExist,
	"AccessControlException":              fs.ErrPermission,
	"AuthorizationException":              fs.ErrPermission,
	"PathIsNotEmptyDirectoryException":    ErrNotEmpty,
	"ParentNotDirectoryException":         ErrNotDir,
	"PathIsDirectoryException":            ErrIsDir,
	"InvalidPathException":                fs.ErrInvalid,
	"HadoopIllegalArgumentException":      fs.ErrInvalid,
	"DSQuotaExceededException":            ErrQuota,
	"NSQuotaExceededException":            ErrQuota,
	"QuotaByStorageTypeExceededException": ErrQuota,
	"LeaseExpiredException":               ErrFenced,
	"SecretManager$InvalidToken":          ErrAuth,
	"SafeModeException":                   ErrSafeMode,
	"RetriableException":                  errRetriable,
	"StandbyException":                    errRetriable,
	"RetryStartFileException":             errRetriable,
}

// messageKinds are for exceptions of class java.io.IOException, which only
// their text tells apart.
var messageKinds = []struct {
	text string
	kind error
}{
	{"rename destination directory is not empty", ErrNotEmpty},
	{"could only be written to", ErrNoDataNode},
	{"could only be replicated to", ErrNoDataNode},
	{"is in safe mode", ErrSafeMode},
	{"quota of", ErrQuota},
}

// sentinels are what the library turned an exception into, losing its text.
var sentinels = []struct{ theirs, ours error }{
	{syscall.ENOTEMPTY, ErrNotEmpty}, {fs.ErrNotExist, fs.ErrNotExist}, {fs.ErrExist, fs.ErrExist},
	{fs.ErrPermission, fs.ErrPermission}, {fs.ErrInvalid, fs.ErrInvalid},
}

// mapRemote turns an answer of the NameNode into an [*Error]; nil means that
// err is no answer but a failure of the connection, or no error.
func mapRemote(op, p string, err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if answer := hdfs.Error(nil); errors.As(err, &answer) && answer.Exception() != "" {
		return fromException(op, p, answer.Exception(), answer.Message(), err)
	}
	for _, s := range sentinels {
		if errors.Is(err, s.theirs) {
			return newError(op, p, s.ours)
		}
	}
	return nil
}

func fromException(op, p, class, message string, err error) *Error {
	detail, _, _ := strings.Cut(message, "\n")
	e := &Error{Op: op, Path: p, Detail: detail, Exception: class, Err: err}
	e.Kind = exceptionKinds[class[strings.LastIndexByte(class, '.')+1:]]
	if e.Kind == nil {
		for _, m := range messageKinds {
			if strings.Contains(message, m.text) {
				e.Kind = m.kind
				break
			}
		}
	}
	// A NameNode in safe mode answers a client of a pair with a
	// RetriableException around the SafeModeException.
	if e.Kind == errRetriable && strings.Contains(message, "SafeModeException") {
		e.Kind = ErrSafeMode
	}
	e.Hint = hints[e.Kind]
	return e
}

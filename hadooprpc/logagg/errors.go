package logagg

import (
	"fmt"
	"strings"
)

// NotFoundError says that there are no aggregated logs of an application.
type NotFoundError struct {
	App   string
	Tried []string // directories
	// Disabled is set when yarn.log-aggregation-enable is not true here.
	Disabled bool
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("no aggregated logs of %s (looked in %s)", e.App, strings.Join(e.Tried, ", "))
	if e.Disabled {
		return s + "; log aggregation is off (yarn.log-aggregation-enable), so they stay on the nodes: look at the pages of the node managers"
	}
	return s + "; they appear some seconds after the application has ended, and are deleted after yarn.log-aggregation.retain-seconds"
}

// FileError is a file of aggregated logs that cannot be read. The files of
// other nodes can still be.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("aggregated logs %s: %v", e.Path, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// corrupt makes an error about contents that break their format.
func corrupt(format string, args ...any) error {
	return &corruptError{fmt.Sprintf(format, args...)}
}

type corruptError struct{ text string }

func (e *corruptError) Error() string { return "damaged: " + e.text }

package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/yarnd/yarnd/hadooprpc/logagg"
)

// LogRequest chooses logs.
type LogRequest struct {
	Container string // id, or a unique end of one; "" is every container
	File      string // stdout, stderr, …; "" is every file
	Follow    bool   // of a running application: go on until ctx or the application ends
}

// Logs gives the logs of an application: live ones from its application master,
// those of an ended one from where the cluster collected them.
func (c *Client) Logs(ctx context.Context, r Report, req LogRequest, yield func(LogFile) error) error {
	chosen := func(f LogFile) error {
		if req.Container != "" && !endsWith(f.Container, req.Container) || req.File != "" && f.Name != req.File {
			return nil
		}
		return yield(f)
	}
	if r.State.Ended() {
		if r.State == StateFailed && r.Attempt == "" {
			return &Fault{Code: NotFound, What: fmt.Sprintf("%s never started, so it has no logs", r.ID), Why: errors.New(r.Diagnostics)}
		}
		return c.cluster.FinishedLogs(ctx, r, chosen)
	}
	s, err := c.Connect(ctx, r)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Logs(ctx, req, yield)
}

func endsWith(s, end string) bool {
	return len(s) >= len(end) && s[len(s)-len(end):] == end
}

// eachLog walks aggregated logs in the order in which they lie in the files.
func eachLog(ctx context.Context, logs *logagg.Logs, yield func(LogFile) error) error {
	for container, err := range logs.Containers(ctx) {
		if err != nil {
			return fsFault("cannot read aggregated logs", err)
		}
		for file, err := range container.Files() {
			if err != nil {
				return fsFault("cannot read the logs of "+container.ID, err)
			}
			f := LogFile{Container: container.ID, Node: container.Node, Name: file.Name, Size: file.Size, Content: file}
			if err := yield(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteTo writes one log with a line before it that says whose it is.
func (f LogFile) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, "==> %s %s on %s <==\n", f.Container, f.Name, f.Node)
	if err != nil {
		return int64(n), err
	}
	m, err := io.Copy(w, f.Content)
	return int64(n) + m, err
}

package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/logagg"
)

// LogRequest chooses logs.
type LogRequest struct {
	Container string // id, or an end of some; "" is every container
	File      string // stdout, stderr, …; "" is every file of the program's own
	All       bool   // and those that the node manager wrote beside them
}

// chooses reports whether a log is one of those asked for.
func (r LogRequest) chooses(f LogFile) bool {
	return strings.HasSuffix(f.Container, r.Container) && (f.Name == r.File || r.File == "" && (r.All || !ofNodeManager(f.Name)))
}

// ofNodeManager reports whether a node manager made that log of a container: how it
// was launched, hundreds of lines around those of the program.
// Source: org.apache.hadoop.yarn.server.nodemanager.containermanager.launcher.ContainerLaunch.
func ofNodeManager(name string) bool {
	return name == "directory.info" || name == "launch_container.sh" || strings.HasPrefix(name, "prelaunch.")
}

// Logs gives the logs of an application: live ones from its application master,
// those of an ended one from where the cluster collected them.
func (c *Client) Logs(ctx context.Context, r Report, req LogRequest, yield func(LogFile) error) error {
	found := false
	chosen := func(f LogFile) error {
		if !req.chooses(f) {
			return nil
		}
		found = true
		return yield(f)
	}
	if r.State.Ended() {
		if r.State == StateFailed && r.Attempt == "" {
			return &Fault{Code: NotFound, What: fmt.Sprintf("%s never started, so it has no logs", r.ID), Why: errors.New(r.Diagnostics)}
		}
		err := c.cluster.FinishedLogs(ctx, r, chosen)
		if err == nil && !found && (req.Container != "" || req.File != "") {
			err = noContainer(r, req)
		}
		return err
	}
	s, err := c.Connect(ctx, r)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Logs(ctx, req, yield)
}

// eachLog walks aggregated logs, node by node. A node's damaged file does not hide
// the others: its error comes at the end.
func eachLog(ctx context.Context, logs *logagg.Logs, yield func(LogFile) error) error {
	var damaged []error
	for file, err := range logs.Files(ctx, logagg.Filter{}) {
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		if err := yield(LogFile{Container: file.Container, Node: file.Node, Name: file.Name, Size: file.Size, Content: file}); err != nil {
			return err
		}
	}
	if err := errors.Join(damaged...); err != nil {
		return fsFault("some logs cannot be read", err)
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

package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/hadooprpc/nodelog"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// logHost is a cluster of whose NodeManagers' web servers we can ask for logs ourselves.
type logHost interface {
	// nodeLog names a container's log on a server that an application master has named, and who reads it: the server is one of
	// the cluster's, the container one of the application's. Anybody's application can name others.
	nodeLog(ctx context.Context, app, server, container, file string) (nodelog.Log, *nodelog.Reader, error)
}

func (y *yarnCluster) nodeLog(ctx context.Context, app, server, container, file string) (l nodelog.Log, r *nodelog.Reader, err error) {
	what := fmt.Sprintf("cannot read %s of %s", file, container)
	id, err := yarn.ParseContainerID(container)
	if err != nil || id.Attempt.App.String() != app {
		return l, nil, &Fault{Code: Refused, What: what, Why: fmt.Errorf("it is no container of %s", app), Next: "The application master is not to be trusted: tell its owner"}
	}
	known, err := y.webs.has(server, func() ([]*pb.NodeReport, error) { return y.runningNodes(ctx) })
	if err != nil {
		return l, nil, err
	}
	if !known { // a ResourceManager that has just begun knows none yet
		return l, nil, &Fault{Code: TimedOut, What: what, Why: fmt.Errorf("the application master says that the log is on the web server %s, and the ResourceManager has no such node", server), Next: "Try once more. If it stays so, tell the cluster's administrator; your ticket was not shown there"}
	}
	return nodelog.Log{Node: server, Container: container, Name: file}, y.nodeLogs(), nil
}

// webServers are those of NodeManagers.
type webServers struct {
	mu    sync.Mutex           // held while the ResourceManager is asked: once for all who wait
	asked time.Time            // the last time
	named map[string]time.Time // host:port, and when the ResourceManager named it last
}

const (
	namedFor   = 5 * time.Minute  // a server is believed to be a NodeManager's
	askedAgain = 10 * time.Second // at the earliest, for one that was not named
)

// has tells whether a server is a NodeManager's, as list has them.
func (w *webServers) has(server string, list func() ([]*pb.NodeReport, error)) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.named[server]; ok && time.Since(at) < namedFor {
		return true, nil
	}
	if time.Since(w.asked) < askedAgain {
		return false, nil
	}
	nodes, err := list()
	if err != nil {
		return false, err
	}
	if w.named == nil {
		w.named = map[string]time.Time{}
	}
	w.asked = time.Now()
	for _, n := range nodes {
		w.named[n.GetHttpAddress()] = w.asked
	}
	return w.named[server].Equal(w.asked), nil
}

// runningNodes are those whose NodeManagers run: on others anybody can have taken their port.
func (y *yarnCluster) runningNodes(ctx context.Context) (nodes []*pb.NodeReport, err error) {
	err = y.call(ctx, "cannot list the cluster's nodes", func(ctx context.Context) (err error) {
		nodes, err = y.rm.Nodes(ctx, pb.NodeState_NS_RUNNING, pb.NodeState_NS_UNHEALTHY, pb.NodeState_NS_DECOMMISSIONING)
		return err
	})
	return nodes, err
}

// nodeLogs reads logs by our own tickets. There is one reader for as long as the cluster is open.
func (y *yarnCluster) nodeLogs() *nodelog.Reader {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.logs == nil {
		o := nodelog.Options{HTTPS: yarn.HTTPS(y.conf), User: y.user}
		if y.who != nil && y.who.Ticketed() && !y.who.Proxied() { // a web server knows nobody who acts for another
			o.Tickets = y.who.Tickets()
		}
		y.logs = nodelog.NewReader(o)
	}
	return y.logs
}

// shownElsewhere is an error that names the web server which shows a log to persons alone, if there is one: *amclient.Error.
type shownElsewhere interface {
	error
	Elsewhere() string
}

// readLog has the application master read a log, by ask, from its beginning or from the offset of the request on. What it is
// not shown, for it has no ticket or does not know the server's certificate, we read.
func (s *Session) readLog(ctx context.Context, req *ampb.LogsRequest, ask func(context.Context, *ampb.LogsRequest) iter.Seq2[*ampb.LogChunk, error]) iter.Seq2[*ampb.LogChunk, error] {
	return func(yield func(*ampb.LogChunk, error) bool) {
		at := req.GetOffset()
		for chunk, err := range ask(ctx, req) {
			if refused, ok := errors.AsType[shownElsewhere](err); ok && refused.Elsewhere() != "" && s.nodes != nil {
				l, r, err := s.nodes.nodeLog(ctx, s.App.ID, refused.Elsewhere(), req.GetContainer(), req.GetFile())
				if err != nil {
					yield(nil, err)
					return
				}
				fromNode(ctx, r, l, at, refused)(yield)
				return
			}
			if at = chunk.GetOffset() + int64(len(chunk.GetData())); !yield(chunk, err) {
				return
			}
		}
	}
}

// logChunk is what is read at a time, in bytes.
const logChunk = 1 << 20 // each piece is a request, and a proof

// fromNode reads a log from an offset to its present end. refused is why the application master could not.
func fromNode(ctx context.Context, r *nodelog.Reader, l nodelog.Log, at int64, refused error) iter.Seq2[*ampb.LogChunk, error] {
	return func(yield func(*ampb.LogChunk, error) bool) {
		for buf := make([]byte, logChunk); ; {
			n, from, err := r.Read(ctx, l, at, buf)
			switch {
			case n > 0:
				if at = from + int64(n); !yield(&ampb.LogChunk{Data: buf[:n], Offset: from}, nil) {
					return
				}
			case errors.Is(err, io.EOF):
				return
			default:
				yield(nil, nodeLogFault(l, err, refused))
				return
			}
		}
	}
}

func nodeLogFault(l nodelog.Log, err, refused error) error {
	what := fmt.Sprintf("cannot read %s of %s", l.Name, l.Container)
	if errors.Is(err, nodelog.ErrNoLog) {
		return &Fault{Code: NotFound, What: what, Why: err, Next: "See yarnd status"}
	}
	if krb, ok := errors.AsType[*krb5.Error](err); ok {
		return krb5Fault(what+": the web server "+l.Node, krb)
	}
	if r, ok := errors.AsType[*nodelog.RefusedError](err); ok {
		return &Fault{Code: Auth, What: what, Why: err, Next: r.Cure()}
	}
	return &Fault{Code: TimedOut, What: what, Why: fmt.Errorf("%w; the application master: %v", err, refused), Next: "Run yarnd logs where the node is reached, or once the application has ended"}
}

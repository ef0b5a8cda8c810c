package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/hadooprpc/nodelog"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// nodeReader is a cluster whose NodeManagers' web servers we can ask for logs ourselves.
type nodeReader interface{ nodeLogs() *nodelog.Reader }

// nodeLogs reads logs by our own tickets. There is one reader for as long as the cluster is open.
func (y *yarnCluster) nodeLogs() *nodelog.Reader {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.logs == nil {
		o := nodelog.Options{HTTPS: yarn.HTTPS(y.conf)}
		if y.who != nil && y.who.Ticketed() {
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
				l := nodelog.Log{Node: refused.Elsewhere(), Container: req.GetContainer(), Name: req.GetFile()}
				fromNode(ctx, s.nodes(), l, at, refused)(yield)
				return
			}
			if at = chunk.GetOffset() + int64(len(chunk.GetData())); !yield(chunk, err) {
				return
			}
		}
	}
}

// logChunk is what is read at a time, in bytes.
const logChunk = 64 << 10

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
	return &Fault{Code: TimedOut, What: what, Why: errors.Join(err, refused), Next: "The application master cannot read it, and from here the node is not reached: run yarnd logs on an edge node, or once the application has ended"}
}

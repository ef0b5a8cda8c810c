package edgeclient

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/nodelog"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
)

// hidden is an application master's error that says where a log is shown.
type hidden struct{ server string }

func (e *hidden) Error() string     { return "it is shown to persons alone" }
func (e *hidden) Elsewhere() string { return e.server }

// shows is a cluster with one NodeManager.
type shows struct {
	r      *nodelog.Reader
	server string
}

func (s *shows) nodeLog(_ context.Context, _, server, container, file string) (nodelog.Log, *nodelog.Reader, error) {
	if server != s.server {
		return nodelog.Log{}, nil, &Fault{Code: Refused, What: "no NodeManager"}
	}
	return nodelog.Log{Node: server, Container: container, Name: file}, s.r, nil
}

// asked is an application master that sends some of a log, and then fails.
func asked(data string, err error) func(context.Context, *ampb.LogsRequest) iter.Seq2[*ampb.LogChunk, error] {
	return func(_ context.Context, req *ampb.LogsRequest) iter.Seq2[*ampb.LogChunk, error] {
		return func(yield func(*ampb.LogChunk, error) bool) {
			if data != "" && !yield(&ampb.LogChunk{Data: []byte(data), Offset: req.GetOffset()}, nil) {
				return
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
}

// What an application master is not shown we read from where it stopped; its other errors are its own.
func TestLogsThatWeReadOurselves(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000) // more than a chunk
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws/v1/node/containers/container_1/logs/stderr" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		var size int
		fmt.Sscan(r.URL.Query().Get("size"), &size)
		part := text[:min(max(size, 0), len(text))]
		fmt.Fprintf(w, "LogType:stderr\nLogLength:%d\nLogContents:\n%s\nEnd of LogType:stderr\n", len(text), part)
	}))
	defer srv.Close()
	server := strings.TrimPrefix(srv.URL, "http://")
	r := nodelog.NewReader(nodelog.Options{})
	defer r.Close()
	nodes := &shows{r: r, server: server}
	s := &Session{App: Report{ID: "application_1_0001"}, nodes: nodes}
	req := &ampb.LogsRequest{Container: "container_1", File: "stderr", Offset: 7}
	read := func(s *Session, ask func(context.Context, *ampb.LogsRequest) iter.Seq2[*ampb.LogChunk, error]) (got string, err error) {
		for chunk, e := range s.readLog(context.Background(), req, ask) {
			if e != nil {
				return got, e
			}
			if chunk.GetOffset() != int64(7+len(got)) {
				t.Errorf("a chunk at %d after %d bytes", chunk.GetOffset(), len(got))
			}
			got += string(chunk.GetData())
		}
		return got, nil
	}
	if got, err := read(s, asked("789", &hidden{server})); err != nil || got != text[7:] {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(text)-7)
	}
	if got, err := read(s, asked("789", nil)); err != nil || got != "789" {
		t.Errorf("what it reads itself: %q, %v", got, err)
	}
	for _, own := range []error{io.ErrUnexpectedEOF, &hidden{}} {
		if _, err := read(s, asked("", own)); !errors.Is(err, own) {
			t.Errorf("%v became %v", own, err)
		}
	}
	if _, err := read(&Session{}, asked("", &hidden{server})); !errors.As(err, new(*hidden)) {
		t.Errorf("where nobody can read it: %v", err)
	}
	if _, err := read(s, asked("", &hidden{"elsewhere:1"})); CodeOf(err) != Refused {
		t.Errorf("another server: %v", err)
	}
	for code, want := range map[int]Code{http.StatusNotFound: NotFound, http.StatusUnauthorized: Auth, http.StatusBadGateway: TimedOut} {
		status = code
		if _, err := read(s, asked("", &hidden{server})); CodeOf(err) != want || !strings.Contains(err.Error(), "cannot read stderr of container_1") {
			t.Errorf("%d: %v is %v, want %v", code, err, CodeOf(err), want)
		}
	}
}

func TestNodeLogFault(t *testing.T) {
	l := nodelog.Log{Node: "nm1:8042", Container: "container_1", Name: "stderr"}
	for _, x := range []struct {
		err        error
		code       Code
		says, next string
	}{
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.NoTicket}, Auth, "nm1:8042: it shows logs to nobody without a Kerberos ticket", "Run kinit, or give"},
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.NoTicket, Err: &krb5.Error{Kind: krb5.Expired, Reason: "the ticket has expired", Cure: "get a new one with: kinit"}},
			Auth, "the web server nm1:8042: Kerberos: the ticket has expired", "Get a new one with: kinit"},
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.NoTicket, Err: &krb5.Error{Kind: krb5.Unreachable, Reason: "no KDC answers"}}, TimedOut, "no KDC answers", "administrator"},
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.NotShown}, Auth, "does not show us this log", "--view-acl"},
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.BadCert, Err: x509.UnknownAuthorityError{}}, Auth, "certificate is not to be trusted", "SSL_CERT_FILE"},
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.Unproven}, Auth, "does not prove who it is", "administrator"},
		{&nodelog.RefusedError{Node: l.Node, Reason: nodelog.NotTaken}, Auth, "does not take our ticket", "HTTP/"},
		{errors.New("no route to host"), TimedOut, "no route to host", "where the node is reached"},
	} {
		err := nodeLogFault(l, x.err, &hidden{l.Node})
		f, ok := errors.AsType[*Fault](err)
		if !ok || f.Code != x.code || !strings.Contains(f.Error(), x.says) || !strings.Contains(f.Next, x.next) {
			t.Errorf("%v: %v, next %q", x.err, err, f.Next)
		}
	}
}

// An application master may name any server, and any container: a ticket goes to NodeManagers alone, for its own containers.
func TestOnlyNodeManagersSeeOurTicket(t *testing.T) {
	m := newMiniOf(t, minicluster.Options{Nodes: 2})
	y := m.c.cluster.(*yarnCluster)
	nodes, err := y.rm.Nodes(t.Context())
	if err != nil || len(nodes) != 2 {
		t.Fatal(nodes, err)
	}
	const app, container = "application_1795494016783_0015", "container_1795494016783_0015_01_000001"
	for _, n := range nodes {
		l, r, err := y.nodeLog(t.Context(), app, n.GetHttpAddress(), container, "stderr")
		if err != nil || r == nil || l != (nodelog.Log{Node: n.GetHttpAddress(), Container: container, Name: "stderr"}) {
			t.Errorf("%+v, %v", l, err)
		}
	}
	at := nodes[0].GetHttpAddress()
	host, _, _ := strings.Cut(at, ":")
	for _, x := range []struct {
		server, container, says string
		code                    Code
	}{
		{host + ":1", container, "the ResourceManager has no such node", TimedOut},
		{"elsewhere.example.test:8042", container, "the ResourceManager has no such node", TimedOut},
		{at + "/../", container, "the ResourceManager has no such node", TimedOut},
		{at, "container_1795494016783_0016_01_000001", "is no container of " + app, Refused},
		{at, "../../x", "is no container of " + app, Refused},
	} {
		if _, r, err := y.nodeLog(t.Context(), app, x.server, x.container, "stderr"); r != nil || CodeOf(err) != x.code || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s, %s: %v", x.server, x.container, err)
		}
	}
}

// The ResourceManager is asked when it is needed, not for each log; what it named is believed for a while.
func TestWebServers(t *testing.T) {
	asked, names := 0, []string{"nm1:8042"}
	var fails error
	list := func() (nodes []*pb.NodeReport, err error) {
		asked++
		for _, n := range names {
			nodes = append(nodes, &pb.NodeReport{HttpAddress: &n})
		}
		return nodes, fails
	}
	var w webServers
	expect := func(server string, want bool, times int) {
		t.Helper()
		if got, err := w.has(server, list); got != want || asked != times || !errors.Is(err, fails) {
			t.Errorf("%s: %v, %v, asked %d times; want %v, %d", server, got, err, asked, want, times)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		expect("nm1:8042", true, 1)
		expect("nm1:8042", true, 1)
		expect("nm2:8042", false, 1) // it was asked just now
		time.Sleep(askedAgain)
		names = []string{"nm2:8042"} // as after its restart: one is not there yet
		expect("nm2:8042", true, 2)
		expect("nm1:8042", true, 2)
		time.Sleep(namedFor)
		expect("nm1:8042", false, 3)
		fails = io.ErrUnexpectedEOF
		time.Sleep(askedAgain)
		expect("nm1:8042", false, 4)
		expect("nm1:8042", false, 5) // nothing was learned
	})
}

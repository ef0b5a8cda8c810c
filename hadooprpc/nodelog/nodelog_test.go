package nodelog

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/spnego"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame is what Hadoop 3.4.2's NodeManager puts around a log.
const frame = "Container: container_1795494016783_0015_01_000001 on nm1:45454\nLogAggregationType: LOCAL\n" +
	"==============================================================\nLogType:stdout\nLogLastModifiedTime:Tue Nov 24 04:27:30 +0000 2026\n" +
	"LogLength:%d\nLogContents:\n%sEnd of LogType:stdout.This log file belongs to a running container (container_1795494016783_0015_01_000001) and so may not be complete.\n" +
	"***********************************************************************\n\n"

const container = "container_1795494016783_0015_01_000001"

// oneLog is a NodeManager's web server with one log. It believes those who say that they are alice.
func oneLog(t *testing.T, log *string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws/v1/node/containers/"+container+"/logs/stdout" || r.URL.Query().Get("user.name") != "alice" {
			http.Error(w, "java.lang.Exception: Cannot find this log on the local disk.", http.StatusNotFound)
			return
		}
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil {
			t.Error(err)
		}
		part := *log
		if size >= 0 {
			part = part[:min(size, len(part))]
		} else {
			part = part[max(0, len(part)+size):]
		}
		fmt.Fprintf(w, frame, len(*log), part)
	})
}

func serve(t *testing.T, h http.Handler) (l Log) {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return Log{Node: strings.TrimPrefix(srv.URL, "http://"), Container: container, Name: "stdout"}
}

func reader(t *testing.T, o Options) *Reader {
	r := NewReader(o)
	t.Cleanup(r.Close)
	return r
}

func TestRead(t *testing.T) {
	var b strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&b, "%06d\n", i)
	}
	log := b.String() // 2.8 MB: beyond farBehind there is another way
	l := serve(t, oneLog(t, &log))
	r := reader(t, Options{User: "alice"})
	ctx := context.Background()
	buf := make([]byte, 70)
	for _, offset := range []int64{0, 7, 7 * 1000, farBehind - 3, farBehind + 1, 2_000_000, int64(len(log)) - 70, int64(len(log)) - 5, -70, -7, -1, -500_000, -5_000_000} {
		n, at, err := r.Read(ctx, l, offset, buf)
		from := offset
		if offset < 0 {
			from = max(0, int64(len(log))+offset)
		}
		want := log[from:min(len(log), int(from)+70)]
		if err != nil || at != from || string(buf[:n]) != want {
			t.Errorf("from %d: %q at %d, %v; want %q at %d", offset, buf[:n], at, err, want, from)
		}
	}
	for _, offset := range []int64{int64(len(log)), int64(len(log)) + 9} {
		if n, _, err := r.Read(ctx, l, offset, buf); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("from %d: %d, %v", offset, n, err)
		}
	}
	log = ""
	if n, at, err := r.Read(ctx, l, -10, buf); n != 0 || at != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("empty: %d at %d, %v", n, at, err)
	}
	for _, other := range []Log{{l.Node, l.Container, "stderr"}, {l.Node, l.Container, "../stdout"}, {l.Node, "container_1_1_1_1", "stdout"}} {
		if _, _, err := r.Read(ctx, other, 0, buf); !errors.Is(err, ErrNoLog) {
			t.Errorf("%v: %v", other, err)
		}
	}
}

// A NodeManager that does not have a container any more sends elsewhere: nobody is asked there.
func TestRedirect(t *testing.T) {
	l := serve(t, http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect))
	if _, _, err := reader(t, Options{}).Read(context.Background(), l, 0, make([]byte, 9)); !errors.Is(err, ErrNoLog) {
		t.Error(err)
	}
}

var realm = &gssapi.Issuer{Realm: "EXAMPLE.TEST", KeyType: 18, Life: time.Hour}

// tickets are those of a user; how often one was asked for, and what was forgotten.
type tickets struct {
	user  string
	err   error
	kept  bool // those that are given come from a cache, until they are forgotten
	asked int
	gone  int
}

func (s *tickets) ServiceTicket(_ context.Context, service string) (gssapi.Credential, error) {
	s.asked++
	switch {
	case s.err != nil:
		return gssapi.Credential{}, s.err
	case s.kept:
		return realm.Ticket(s.user, "HTTP/of-before")
	}
	return realm.Ticket(s.user, service)
}

func (s *tickets) Forget(string, gssapi.Credential) (kept bool) {
	s.gone++
	kept, s.kept = s.kept, false
	return kept
}

// kerberized is what Hadoop's filter makes of inner: who proves nothing gets 401, whose proof is not taken 403, and every answer to a
// proof has the server's own. Others than alice get 500 from the NodeManager behind it.
func kerberized(t *testing.T, service string, inner http.Handler, mute bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if agent, ok := r.Header["User-Agent"]; ok {
			t.Errorf("it would be taken for a browser: %q", agent)
		}
		header := r.Header.Get(spnego.RequestHeader)
		if header == "" {
			w.Header().Set(spnego.AnswerHeader, "Negotiate")
			http.Error(w, "Authentication required", http.StatusUnauthorized)
			return
		}
		a := realm.Acceptor(service)
		answer, err := spnego.Accept(a, header, time.Now())
		if err != nil {
			http.Error(w, "GSSException: Failure unspecified at GSS-API level", http.StatusForbidden)
			return
		}
		if r.URL.Query().Has("user.name") {
			t.Error("who proves who he is need not say it")
		}
		if !mute {
			w.Header().Set(spnego.AnswerHeader, answer)
		}
		if name, _ := a.Client(); name.PrincipalNameString() != "alice" {
			http.Error(w, "<p>User [bob] is not authorized to view the logs for "+container+" in log file [stdout]</p>", http.StatusInternalServerError)
			return
		}
		q := r.URL.Query()
		q.Set("user.name", "alice")
		r.URL.RawQuery = q.Encode()
		inner.ServeHTTP(w, r)
	})
}

// Where a server wants proof of who asks, and where it gets it.
func TestProof(t *testing.T) {
	log := "hello\n"
	const here = "HTTP/127.0.0.1"
	for _, x := range []struct {
		what    string
		tickets *tickets
		service string // whom the server can be
		mute    bool   // it does not prove who it is
		want    Reason // "": it is read
		says    string
		gone    int // tickets that were forgotten in two readings
	}{
		{"a ticket", &tickets{user: "alice"}, here, false, "", "", 0},
		{"one of before the server's key was changed", &tickets{user: "alice", kept: true}, here, false, "", "", 1},
		{"none at all", nil, here, false, NoTicket, "", 0},
		{"none to be got", &tickets{err: errors.New("no KDC answers")}, here, false, NoTicket, "no KDC answers", 0},
		{"somebody else's", &tickets{user: "bob"}, here, false, NotShown, "User [bob] is not authorized to view the logs for " + container, 0},
		{"a server with another key", &tickets{user: "alice"}, "HTTP/elsewhere", false, NotTaken, "HTTP 403", 2},
		{"a server that proves nothing", &tickets{user: "alice"}, here, true, Unproven, "", 0},
	} {
		t.Run(x.what, func(t *testing.T) {
			l := serve(t, kerberized(t, x.service, oneLog(t, &log), x.mute))
			o := Options{User: "alice"}
			if x.tickets != nil {
				o.Tickets = x.tickets
			}
			r := reader(t, o)
			buf := make([]byte, 9)
			for range 2 {
				n, _, err := r.Read(context.Background(), l, 0, buf)
				refused, _ := errors.AsType[*RefusedError](err)
				switch {
				case x.want == "":
					if err != nil || string(buf[:n]) != log {
						t.Errorf("%q, %v", buf[:n], err)
					}
				case refused == nil || refused.Reason != x.want || refused.Node != l.Node || refused.Cure() == "" || !strings.Contains(err.Error(), x.says):
					t.Errorf("%v", err)
				}
			}
			if x.tickets != nil && (x.tickets.gone != x.gone || x.tickets.asked < 1) {
				t.Errorf("%d tickets were asked for, and %d forgotten", x.tickets.asked, x.tickets.gone)
			}
		})
	}
	for what, h := range map[string]string{"missing": "", "not that": "PseudoAuth"} { // nobody wants a ticket
		l := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(spnego.AnswerHeader, h)
			w.WriteHeader(http.StatusUnauthorized)
		}))
		none := &tickets{user: "alice"}
		_, _, err := reader(t, Options{Tickets: none}).Read(context.Background(), l, 0, make([]byte, 9))
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Reason != NoProof || none.asked != 0 {
			t.Errorf("a ticket is %s: %v", what, err)
		}
	}
}

// One server wants proof and another does not: each is asked in its way, in any order. A log that is not there is a server's word
// that it proves, too.
func TestServersDiffer(t *testing.T) {
	log := "hello\n"
	closed, open := serve(t, kerberized(t, "HTTP/127.0.0.1", oneLog(t, &log), false)), serve(t, oneLog(t, &log))
	r := reader(t, Options{User: "alice", Tickets: &tickets{user: "alice"}})
	buf := make([]byte, 9)
	for _, l := range []Log{closed, open, closed, open} {
		if n, _, err := r.Read(context.Background(), l, 0, buf); err != nil || string(buf[:n]) != log {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
	closed.Name = "other"
	if _, _, err := r.Read(context.Background(), closed, 0, buf); !errors.Is(err, ErrNoLog) {
		t.Error(err)
	}
	failing := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<p>\n</p>Exception reading log file. Application submitted by 'alice' doesn't own requested log file : stderr\nat x", http.StatusInternalServerError)
	}))
	if _, _, err := r.Read(context.Background(), failing, 0, buf); err == nil || errors.As(err, new(*RefusedError)) || !strings.HasSuffix(err.Error(), "doesn't own requested log file : stderr") {
		t.Errorf("what it says is not told: %v", err)
	}
	forged := serve(t, kerberized(t, "HTTP/127.0.0.1", http.NotFoundHandler(), true))
	if _, _, err := r.Read(context.Background(), forged, 0, buf); errors.Is(err, ErrNoLog) || !errors.As(err, new(*RefusedError)) {
		t.Errorf("anybody could have said so: %v", err)
	}
}

// A server that is not reached is not tried for each log anew.
func TestRest(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	l := Log{strings.TrimPrefix(srv.URL, "http://"), container, "stdout"}
	srv.Close()
	r := reader(t, Options{})
	_, _, first := r.Read(context.Background(), l, 0, nil)
	if first == nil || errors.As(first, new(*RefusedError)) {
		t.Fatal(first)
	}
	if n := r.known(l.Node); n.away == nil || time.Until(n.rest) <= 0 || time.Until(n.rest) > restTime {
		t.Errorf("%+v", n)
	}
	if _, _, err := r.Read(context.Background(), l, 0, nil); err == nil || !strings.Contains(err.Error(), "it is not tried again for 5s") {
		t.Errorf("it rests: %v", err)
	}
	r.learn(l.Node, node{asks: true, away: errors.New("of before"), rest: time.Now().Add(-1)})
	if n := r.known(l.Node); n.away != nil || !n.asks {
		t.Errorf("after the rest: %+v", n)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	other := reader(t, Options{})
	if _, _, err := other.Read(ended, l, 0, nil); err == nil || other.known(l.Node).away != nil {
		t.Errorf("our own end is nobody's absence: %v", err)
	}
}

// With HTTPS a server is one that somebody vouches for whom we trust.
func TestHTTPS(t *testing.T) {
	log := "hello\n"
	srv := httptest.NewTLSServer(oneLog(t, &log))
	t.Cleanup(srv.Close)
	l := Log{strings.TrimPrefix(srv.URL, "https://"), container, "stdout"}
	known := x509.NewCertPool()
	known.AddCert(srv.Certificate())
	buf := make([]byte, 9)
	r := reader(t, Options{HTTPS: true, User: "alice", Roots: known})
	if n, _, err := r.Read(context.Background(), l, 0, buf); err != nil || string(buf[:n]) != log {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if page := r.Page("nm1:8044", container, "alice"); page != "https://nm1:8044/node/containerlogs/"+container+"/alice" {
		t.Error(page)
	}
	_, _, err := reader(t, Options{HTTPS: true, User: "alice", Roots: x509.NewCertPool()}).Read(context.Background(), l, 0, buf)
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Reason != BadCert || !strings.Contains(refused.Cure(), "SSL_CERT_FILE") {
		t.Error(err)
	}
}

func FuzzReadContents(f *testing.F) {
	f.Add(fmt.Appendf(nil, frame, 5, "hello"), int64(3), int64(1))
	f.Add([]byte("LogLength:-1\nLogContents:\n"), int64(-3), int64(-1))
	f.Add([]byte("LogLength:9223372036854775807\nLogContents:\nx"), int64(-9223372036854775807), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, size, offset int64) {
		buf := make([]byte, 16)
		n, at, err := readContents(bufio.NewReaderSize(strings.NewReader(string(data)), maxLine), size, offset, buf)
		if n < 0 || n > len(buf) || at < 0 && err == nil || (err != nil && n != 0) {
			t.Errorf("%d at %d, %v", n, at, err)
		}
	})
}

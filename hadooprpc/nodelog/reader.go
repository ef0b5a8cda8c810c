package nodelog

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/spnego"
)

// requestTime bounds one request to a NodeManager's web server.
const requestTime = 20 * time.Second

// Options say how to reach NodeManagers' web servers, and as whom.
type Options struct {
	// HTTPS is yarn.http.policy HTTPS_ONLY.
	HTTPS bool
	// User is who asks, where a server believes what it is told; "": nobody in particular.
	User string
	// Tickets are ours, for servers that do not; nil: there are none.
	Tickets sasl.TicketSource
	// Roots vouch for servers' certificates. nil: those of the system.
	Roots *x509.CertPool
}

// Log is one log of one container.
type Log struct {
	Node      string // its web server, host:port
	Container string // id
	Name      string // stdout, stderr, …
}

// ErrNoLog tells that there is no such container or file on the node, or no more.
var ErrNoLog = errors.New("no such log on the node")

// Reader reads logs. It is safe for concurrent use.
type Reader struct {
	opt   Options
	http  *http.Client
	asked atomic.Bool // a server wanted proof: the next one is given it at once
}

// NewReader asks nobody yet.
func NewReader(o Options) *Reader {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil // nodes are not behind one, and it would hear who we are
	t.TLSClientConfig = &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
	return &Reader{opt: o, http: &http.Client{
		Timeout:   requestTime,
		Transport: t,
		// A NodeManager sends elsewhere for containers that it does not have.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets go of connections that nobody uses.
func (r *Reader) Close() { r.http.CloseIdleConnections() }

// Page is where a browser finds a container's logs (ContainerLogsPage).
func (r *Reader) Page(node, container, user string) string {
	return r.scheme() + "://" + node + "/node/containerlogs/" + container + "/" + user
}

func (r *Reader) scheme() string {
	if r.opt.HTTPS {
		return "https"
	}
	return "http"
}

const (
	farBehind = 1 << 20
	growth    = 64 << 10
)

// Read reads from a byte offset on; a negative one counts from the end. It returns how much it read and where that begins, and
// io.EOF with 0 where there is nothing more at present. Errors are ErrNoLog, *RefusedError where the server does not let us, and
// others. The server knows no offsets, only "the first so many bytes" and "the last so many": what lies far behind the beginning
// is read from the end.
func (r *Reader) Read(ctx context.Context, l Log, offset int64, buf []byte) (n int, at int64, err error) {
	if offset < 0 {
		return r.part(ctx, l, offset, offset, buf)
	}
	if offset > farBehind {
		_, length, err := r.part(ctx, l, -1, -1, nil)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return 0, 0, err
		case length+1 <= offset:
			return 0, offset, io.EOF
		}
		// Some more than there is after the offset, should the file have grown.
		n, begin, err := r.part(ctx, l, offset-length-1-growth, offset, buf)
		if err == nil && begin == offset {
			return n, begin, nil
		}
	}
	return r.part(ctx, l, offset+int64(len(buf)), offset, buf)
}

// part has the server send so many bytes, from the end if size is negative, and returns those from the offset on.
func (r *Reader) part(ctx context.Context, l Log, size, offset int64, buf []byte) (int, int64, error) {
	resp, err := r.ask(ctx, l, size)
	if err != nil {
		return 0, 0, fmt.Errorf("read the log of %s: %w", l.Container, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode/100 == 3:
		return 0, 0, ErrNoLog
	case resp.StatusCode != http.StatusOK:
		return 0, 0, fmt.Errorf("read the log of %s: node %s answers %s", l.Container, l.Node, resp.Status)
	}
	return readContents(bufio.NewReaderSize(resp.Body, maxLine), size, offset, buf)
}

// ask asks without proof of who we are, until a server has wanted one.
func (r *Reader) ask(ctx context.Context, l Log, size int64) (*http.Response, error) {
	if !r.asked.Load() {
		resp, err := r.do(r.request(ctx, l, size, r.opt.User))
		if err != nil || !wantsProof(resp) {
			return resp, err
		}
		resp.Body.Close()
		if r.opt.Tickets == nil {
			return nil, &RefusedError{l.Node, NoTicket, nil}
		}
		r.asked.Store(true)
	}
	return r.prove(ctx, l, size)
}

// wantsProof tells that a server answers nobody who does not say who he is, or none that only says so.
func wantsProof(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
}

// prove asks with a ticket, and has the server prove who it is.
func (r *Reader) prove(ctx context.Context, l Log, size int64) (*http.Response, error) {
	req := r.request(ctx, l, size, "")
	proof, forget, err := spnego.Prove(ctx, req, r.opt.Tickets)
	if err != nil {
		return nil, &RefusedError{l.Node, NoTicket, err}
	}
	resp, err := r.do(req)
	if err != nil {
		return nil, err
	}
	var refused *RefusedError
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		refused = &RefusedError{l.Node, NotTaken, nil}
	case http.StatusForbidden:
		refused = &RefusedError{l.Node, Forbidden, nil}
	case http.StatusOK:
		if err := proof.Finish(resp.Header.Values(spnego.AnswerHeader)); err != nil {
			refused = &RefusedError{l.Node, Unproven, err}
		}
	}
	if refused != nil {
		forget()
		resp.Body.Close()
		return nil, refused
	}
	return resp, nil
}

// request is for so many bytes of a log, from its end if size is negative. user is who asks, where that is to be said.
func (r *Reader) request(ctx context.Context, l Log, size int64, user string) *http.Request {
	q := url.Values{"size": {strconv.FormatInt(size, 10)}}
	if user != "" {
		q.Set("user.name", user)
	}
	u := &url.URL{Scheme: r.scheme(), Host: l.Node, Path: "/ws/v1/node/containers/" + l.Container + "/logs/" + l.Name, RawQuery: q.Encode()}
	req := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Accept": {"text/plain"}}}
	return req.WithContext(ctx)
}

// do is http.Client.Do, with a certificate of nobody whom we know as a refusal.
func (r *Reader) do(req *http.Request) (*http.Response, error) {
	resp, err := r.http.Do(req)
	if wrong := (*tls.CertificateVerificationError)(nil); errors.As(err, &wrong) {
		return nil, &RefusedError{req.URL.Host, UnknownCert, wrong.Err}
	}
	return resp, err
}

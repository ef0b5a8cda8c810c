package nodelog

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/spnego"
)

const (
	// requestTime bounds one request to a NodeManager's web server.
	requestTime = 20 * time.Second
	// dialTime bounds how long one may take to take a connection.
	dialTime = 5 * time.Second
	// restTime is the shortest time for which one that did not answer is not tried again: there may be many logs on it.
	restTime = 5 * time.Second
	// refusalTime is how long one that takes no ticket of ours is not shown another, for which a KDC would be asked.
	refusalTime = 30 * time.Second
	// maxWords bounds what is looked at of the answer of a server that refuses, in bytes.
	maxWords       = 64 << 10
	maxLineOfWords = 300
)

// Options say how to reach NodeManagers' web servers, and as whom.
type Options struct {
	// HTTPS is yarn.http.policy HTTPS_ONLY.
	HTTPS bool
	// User is who asks, for servers that believe what they are told; "": nobody in particular.
	User string
	// Tickets are ours, for servers that do not; nil: there are none. They go to whatever server a Log names.
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
	opt  Options
	http *http.Client

	mu    sync.Mutex
	nodes map[string]node
}

// node is what is known of a server.
type node struct {
	asks bool      // for proof: the next request gives it at once
	away error     // what is answered in its place until rest; nil: nothing
	rest time.Time // until when it is not tried
}

// NewReader asks nobody yet.
func NewReader(o Options) *Reader {
	return &Reader{opt: o, nodes: map[string]node{}, http: &http.Client{
		Timeout: requestTime,
		// No proxy: nodes are not behind one, and it would hear who we are.
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: dialTime}).DialContext, TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}},
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
	switch resp.StatusCode {
	case http.StatusOK:
		return readContents(bufio.NewReaderSize(resp.Body, maxLine), size, offset, buf)
	case http.StatusNotFound, http.StatusTemporaryRedirect:
		return 0, 0, ErrNoLog
	}
	said := words(resp)
	if notAuthorized.MatchString(said) {
		err = &RefusedError{l.Node, NotShown, errors.New(said)}
		return 0, 0, fmt.Errorf("read the log of %s: %w", l.Container, err)
	}
	return 0, 0, fmt.Errorf("read the log of %s: node %s answers %s: %s", l.Container, l.Node, resp.Status, said)
}

// ask asks without proof of who we are, until the server has wanted one. A ticket that it does not take may be an old one, where
// it has another key: it is forgotten, and another tried, once.
func (r *Reader) ask(ctx context.Context, l Log, size int64) (*http.Response, error) {
	known := r.known(l.Node)
	if known.away != nil {
		return nil, known.away
	}
	if !known.asks {
		resp, err := r.do(r.request(ctx, l, size, r.opt.User))
		if err != nil || !refuses(resp) {
			return resp, err
		}
		defer resp.Body.Close()
		if !negotiates(resp) {
			return nil, &RefusedError{l.Node, NoProof, errors.New("HTTP " + resp.Status)}
		}
		if r.opt.Tickets == nil {
			return nil, &RefusedError{l.Node, NoTicket, nil}
		}
		r.learn(l.Node, node{asks: true})
	}
	resp, err := r.prove(ctx, l, size)
	if notTaken(err) {
		if resp, err = r.prove(ctx, l, size); notTaken(err) {
			r.learn(l.Node, node{asks: true, away: err, rest: time.Now().Add(refusalTime)})
		}
	}
	return resp, err
}

func notTaken(err error) bool {
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && refused.Reason == NotTaken
}

func (r *Reader) known(server string) node {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[server]
	if time.Now().After(n.rest) {
		n.away = nil
	}
	return n
}

func (r *Reader) learn(server string, n node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes[server] = n
}

// refuses tells that a server does not let us in. Hadoop's filter says 401 to who proves nothing, and 403 where a proof is not
// taken. Source: AuthenticationFilter.doFilter.
func refuses(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
}

// negotiates tells that the server would take a ticket.
func negotiates(resp *http.Response) bool {
	return slices.ContainsFunc(resp.Header.Values(spnego.AnswerHeader), func(h string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(h), " ")
		return strings.EqualFold(scheme, "Negotiate")
	})
}

// prove asks with a ticket, and has the server prove who it is where it says what there is of a log, or that there is none.
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
	case http.StatusUnauthorized, http.StatusForbidden:
		forget()
		refused = &RefusedError{l.Node, NotTaken, errors.New("HTTP " + resp.Status)}
	case http.StatusOK, http.StatusNotFound, http.StatusTemporaryRedirect:
		if err := proof.Finish(resp.Header.Values(spnego.AnswerHeader)); err != nil {
			refused = &RefusedError{l.Node, Unproven, err}
		}
	}
	if refused != nil {
		resp.Body.Close()
		return nil, refused
	}
	return resp, nil
}

// notAuthorized is what a NodeManager says, with 500, to who may not see a log. Source: ContainerLogsUtils.checkAccess,
// NMWebServices.getContainerLogFile; seen with 3.4.2.
var notAuthorized = regexp.MustCompile(`^User \[.*\] is not authorized to view the logs`)

// words are the first line, or most of it, of what a server that fails says, without the tags of a page.
func words(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxWords))
	for line := range strings.Lines(tags.ReplaceAllString(string(body), "")) {
		line = strings.TrimSpace(strings.Map(func(c rune) rune {
			if !unicode.IsPrint(c) {
				return ' '
			}
			return c
		}, line))
		if len(line) > maxLineOfWords {
			line = strings.ToValidUTF8(line[:maxLineOfWords], "")
		}
		if line != "" {
			return line
		}
	}
	return "without a word"
}

var tags = regexp.MustCompile(`<[^>]*>`)

// request is for so many bytes of a log, from its end if size is negative. user is who asks, where that is to be said.
func (r *Reader) request(ctx context.Context, l Log, size int64, user string) *http.Request {
	q := url.Values{"size": {strconv.FormatInt(size, 10)}}
	if user != "" {
		q.Set("user.name", user)
	}
	u := &url.URL{Scheme: r.scheme(), Host: l.Node, Path: "/ws/v1/node/containers/" + l.Container + "/logs/" + l.Name, RawQuery: q.Encode()}
	// No agent: servers that send browsers to a page for logging in take most names for one (AltKerberosAuthenticationHandler.isBrowser).
	req := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Accept": {"text/plain"}, "User-Agent": {""}}}
	return req.WithContext(ctx)
}

// do is http.Client.Do, with a certificate that is not to be trusted as a refusal. A server that does not answer rests for as long
// as it took to see that.
func (r *Reader) do(req *http.Request) (*http.Response, error) {
	server, began := req.URL.Host, time.Now()
	resp, err := r.http.Do(req)
	if wrong := (*tls.CertificateVerificationError)(nil); errors.As(err, &wrong) {
		return nil, &RefusedError{server, BadCert, wrong.Err}
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // without the URL
	}
	if failed := net.Error(nil); errors.As(err, &failed) && req.Context().Err() == nil {
		n, rest := r.known(server), max(restTime, time.Since(began))
		n.away, n.rest = fmt.Errorf("%w (it is not tried again for %v)", err, rest.Round(time.Second)), time.Now().Add(rest)
		r.learn(server, n)
	}
	return resp, err
}

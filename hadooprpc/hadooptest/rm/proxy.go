package rm

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// proxyTimeout is how long an application master may be silent. Source:
// yarn.resourcemanager.proxy.connection.timeout.
const proxyTimeout = time.Minute

// staticUser is who everybody is to the pages of a cluster without security. Source: hadoop.http.staticuser.user.
const staticUser = "dr.who"

// passedOn are the only headers that reach an application master. Source: WebAppProxyServlet.PASS_THROUGH_HEADERS.
// Accept-Encoding is one of them, but the proxy's own client unpacks what comes back, as Go's does unasked.
var passedOn = []string{"User-Agent", "Accept", "Accept-Language", "Accept-Charset", "Content-Type", "Origin",
	"Access-Control-Request-Method", "Access-Control-Request-Headers"}

// newProxyClient follows redirects of GET by itself, as Apache's client does, and of nothing else.
func newProxyClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: proxyTimeout}).DialContext, ResponseHeaderTimeout: proxyTimeout, IdleConnTimeout: time.Second},
		Timeout:   10 * proxyTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.Method != http.MethodGet && r.Method != http.MethodHead || via[0].Method == http.MethodPut {
				return http.ErrUseLastResponse
			}
			if len(via) > 50 {
				return errors.New("maximum redirects (50) exceeded")
			}
			return nil
		},
	}
}

// serveProxy hands a request on to an application master and its answer back, with all the losses of the real proxy.
// Source: WebAppProxyServlet.
func (m *RM) serveProxy(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPut && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	v, err := m.appOf(r)
	if err != nil {
		http.Error(w, "Application "+r.PathValue("id")+" could not be found in RM or history server", http.StatusNotFound)
		return
	}
	origin := v.Origin
	if origin == "" || origin == "N/A" {
		http.Redirect(w, r, "/cluster/app/"+v.ID.String(), http.StatusFound)
		return
	}
	target, err := target(origin, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	switch v.State {
	case pb.ApplicationState_FINISHED, pb.ApplicationState_FAILED, pb.ApplicationState_KILLED:
		http.Redirect(w, r, target, http.StatusFound)
		return
	}
	if err := m.forward(w, r, target); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// target is the application master's URL of a request. The query passes a builder that takes braces for templates and
// cannot do without values.
func target(origin string, r *http.Request) (string, error) {
	if !strings.Contains(origin, "://") {
		origin = "http://" + origin
	}
	u, err := url.Parse(origin)
	if err != nil {
		return "", err
	}
	if r.URL.RawQuery != "" {
		for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
			_, value, found := strings.Cut(pair, "=")
			value, err := url.QueryUnescape(value)
			switch {
			case err != nil || !found:
				return "", errors.New("java.lang.IllegalArgumentException: One or more of query value parameters are null")
			case strings.ContainsAny(value, "{}"):
				return "", errors.New("java.lang.IllegalArgumentException: The template variable has no value")
			}
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += r.URL.RawQuery
	}
	if rest := r.PathValue("rest"); rest != "" {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/" + rest
	}
	return u.String(), nil
}

func (m *RM) forward(w http.ResponseWriter, r *http.Request, target string) error {
	var body io.Reader
	if r.Method == http.MethodPut {
		var joined strings.Builder // lines lose their ends
		lines := bufio.NewScanner(io.LimitReader(r.Body, 64<<20))
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			joined.WriteString(lines.Text())
		}
		if err := lines.Err(); err != nil {
			return err
		}
		body = strings.NewReader(joined.String())
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // a servlet's HEAD is a GET whose body is dropped
	}
	req, err := http.NewRequestWithContext(r.Context(), method, target, body)
	if err != nil {
		return err
	}
	for _, name := range passedOn {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	req.Header.Set("Cookie", "proxy-user="+url.QueryEscape(staticUser))
	resp, err := m.open().web.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return errors.New("java.lang.NullPointerException: the response has no entity")
	}
	for name, values := range resp.Header {
		if name != "Transfer-Encoding" && name != "Connection" {
			w.Header().Set(name, values[len(values)-1]) // setHeader: the last one stays
		}
	}
	w.WriteHeader(resp.StatusCode)
	io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{resp.Body}, make([]byte, 4096)) // no flush: poll, no events
	return nil
}

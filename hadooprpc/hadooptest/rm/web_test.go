package rm

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// page is an application master's web server, and what reached it.
type page struct {
	*httptest.Server
	last *http.Request
	body string
}

func newPage(t *testing.T) *page {
	p := &page{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		p.last, p.body = r, string(b)
		switch r.URL.Path {
		case "/ui/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/ui/moved":
			http.Redirect(w, r, "/ui/there", http.StatusFound)
		default:
			w.Header().Set("X-Made", "up")
			io.WriteString(w, "page "+r.URL.Path)
		}
	}))
	t.Cleanup(p.Server.Close)
	return p
}

func TestProxy(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	p := newPage(t)
	base := "http://" + w.m.WebAddr() + "/proxy/" + w.id.String()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	do := func(method, path, body string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "secret")
		req.Header.Set("Accept-Language", "de")
		req.Header.Set("Range", "bytes=1-2")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp, string(b)
	}
	if r, _ := do("GET", "/", ""); r.StatusCode != http.StatusFound || r.Header.Get("Location") != "/cluster/app/"+w.id.String() {
		t.Errorf("before there is a page: %v", r)
	}
	am := w.master(1)
	if _, err := am.Register(t.Context(), "here", 1, p.URL+"/ui"); err != nil {
		t.Fatal(err)
	}
	r, body := do("GET", "/a/b?x=1&y=2", "")
	if r.StatusCode != 200 || body != "page /ui/a/b" || r.Header.Get("X-Made") != "up" || p.last.URL.RawQuery != "x=1&y=2" {
		t.Errorf("%v %q %v", r, body, p.last.URL)
	}
	if h := p.last.Header; h.Get("Authorization") != "" || h.Get("Range") != "" || h.Get("Accept-Language") != "de" || h.Get("Cookie") != "proxy-user=dr.who" {
		t.Errorf("headers %v", h)
	}
	if r, body := do("GET", "/moved", ""); r.StatusCode != 200 || body != "page /ui/there" {
		t.Errorf("a redirect: %v %q", r, body)
	}
	if do("PUT", "/put", "a\nb\n"); p.body != "ab" || p.last.Method != "PUT" {
		t.Errorf("put %q", p.body)
	}
	for _, tc := range []struct {
		method, path string
		want         int
	}{{"POST", "/", 405}, {"DELETE", "/", 405}, {"GET", "/nothing", 500}, {"GET", "/?x=%7Ba%7D", 500}, {"GET", "/?x", 500}} {
		if r, _ := do(tc.method, tc.path, ""); r.StatusCode != tc.want {
			t.Errorf("%s %s: %d", tc.method, tc.path, r.StatusCode)
		}
	}
	if err := am.Finish(t.Context(), pb.FinalApplicationStatus_APP_SUCCEEDED, "", "http://history/x"); err != nil {
		t.Fatal(err)
	}
	if r, _ := do("GET", "/y", ""); r.StatusCode != http.StatusFound || r.Header.Get("Location") != "http://history/x/y" {
		t.Errorf("after the end: %v", r)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	get := func(path string) (int, map[string]any) {
		t.Helper()
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + w.m.WebAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var v map[string]any
		json.NewDecoder(resp.Body).Decode(&v)
		return resp.StatusCode, v
	}
	if code, v := get("/ws/v1/cluster/info"); code != 200 || v["clusterInfo"].(map[string]any)["haState"] != "ACTIVE" {
		t.Errorf("%d %v", code, v)
	}
	if code, v := get("/ws/v1/cluster/apps/" + w.id.String()); code != 200 || v["app"].(map[string]any)["name"] != "a test" {
		t.Errorf("%d %v", code, v)
	}
	if code, _ := get("/ws/v1/cluster/apps/application_1_0001"); code != 404 {
		t.Error(code)
	}
	if code, _ := get("/cluster/app/" + w.id.String()); code != 200 {
		t.Error(code)
	}
	if code, _ := get("/proxy/application_1_0001/"); code != 404 {
		t.Error(code)
	}
}

// The port of the pages is nobody else's while the ResourceManager is down.
func TestWebPortIsHeld(t *testing.T) {
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	m.Stop()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	at := netip.MustParseAddrPort(m.WebAddr())
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != unix.EADDRINUSE {
		t.Errorf("it can be had: %v", err)
	}
	if err := m.Start(true); err != nil {
		t.Error(err)
	}
}

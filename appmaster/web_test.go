package appmaster

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

type answer struct {
	status int
	header http.Header
	body   string
}

func fetch(t *testing.T, url string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ask(t, http.DefaultClient, req)
}

func ask(t *testing.T, client *http.Client, req *http.Request) answer {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func itoa(n int32) string { return fmt.Sprint(n) }

// spellings are the ways in which a secret may show.
func spellings(secret []byte) []string {
	return []string{string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), fmt.Sprint(secret),
		base64.StdEncoding.EncodeToString(secret), base64.URLEncoding.EncodeToString(secret), base64.RawStdEncoding.EncodeToString(secret)}
}

func TestPage(t *testing.T) {
	w := prepare(t, 2)
	w.begin()
	info := w.until("a report", func(i *ampb.Info) bool { return running(2)(i) && i.Report != nil })
	page := fetch(t, info.Web)
	if page.status != 200 || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("%d, %v", page.status, page.header)
	}
	for _, want := range []string{info.App, "alice", "running", info.Containers[0].Id, "41", "&lt;script&gt;alert(1)&lt;/script&gt;", "test &amp; &lt;b&gt;bold&lt;/b&gt;"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("no %q in the page:\n%s", want, page.body)
		}
	}
	// Behind the proxy only relative links work; and what is not there cannot harm.
	for _, bad := range []string{"<script", "<b>", "href=", "src=", "http://", "<form"} {
		if strings.Contains(page.body, bad) {
			t.Errorf("%q in the page", bad)
		}
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	// The proxy follows redirects itself: there are none.
	for _, path := range []string{"/", "x//y", "a/../b"} {
		req, err := http.NewRequest("GET", info.Web+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if health := fetch(t, info.Web+"healthz"); health.status != 200 || health.body != "ok\n" {
		t.Errorf("%+v", health)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "TRACE"} {
		req, err := http.NewRequest(method, info.Web, strings.NewReader("x=1"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Large applications do not make large pages.
func TestPageIsBounded(t *testing.T) {
	w := prepare(t, 0)
	l := &loop{opt: w.opt, log: w.opt.Log}
	info := &ampb.Info{App: w.spec.ID, Started: timestamppb.Now()}
	for i := range 5000 {
		info.Containers = append(info.Containers, &ampb.Container{Id: fmt.Sprint("container_", i), Since: timestamppb.Now()})
	}
	l.replace(info)
	rec := httptest.NewRecorder()
	l.newPage().ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if n := rec.Body.Len(); rec.Code != 200 || n > 100_000 || !strings.Contains(rec.Body.String(), "4500 more containers are not shown") {
		t.Errorf("%d, %d bytes", rec.Code, n)
	}
}

func TestPageIsForTheProxyAlone(t *testing.T) {
	w := prepare(t, 0)
	w.opt.Web = Web{Open: true, ProxyHosts: []string{"localhost"}, ProxyURL: "http://rm.example.com:8088/proxy/app/"}
	l := &loop{opt: w.opt, log: w.opt.Log}
	l.replace(&ampb.Info{App: w.spec.ID, Started: timestamppb.Now()})
	page := l.newPage()
	get := func(remote, path string) *httptest.ResponseRecorder {
		req := httptest.NewRequest("GET", path, nil)
		req.RemoteAddr = remote
		rec := httptest.NewRecorder()
		page.ServeHTTP(rec, req)
		return rec
	}
	if rec := get("127.0.0.1:1234", "/"); rec.Code != 200 || !strings.Contains(rec.Body.String(), w.spec.ID) {
		t.Errorf("the proxy: %d", rec.Code)
	}
	if rec := get("192.0.2.1:1234", "/"); rec.Code != 302 || rec.Header().Get("Location") != w.opt.Web.ProxyURL || strings.Contains(rec.Body.String(), w.spec.ID) {
		t.Errorf("somebody else: %d, %v, %q", rec.Code, rec.Header(), rec.Body)
	}
	if rec := get("nonsense", "/"); rec.Code != 302 {
		t.Errorf("nobody: %d", rec.Code)
	}
	if rec := get("192.0.2.1:1234", "/healthz"); rec.Code != 200 {
		t.Errorf("health: %d", rec.Code)
	}
	w.opt.Web.ProxyURL = ""
	l.opt = w.opt
	if rec := get("192.0.2.1:1234", "/"); rec.Code != 403 {
		t.Errorf("without an address to go to: %d", rec.Code)
	}
}

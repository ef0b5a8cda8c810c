package appmaster

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/identity"
)

// The page is in two forms, with one head.
var (
	//go:embed head.html
	headText string
	//go:embed page.html
	pageText string
	//go:embed counts.html
	countsText string
)

const pageStyle = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}` +
	`table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.2rem .6rem;text-align:left;font-variant-numeric:tabular-nums}code{font-size:.95em}`

var (
	pageTemplate   = pageForm(pageText)
	countsTemplate = pageForm(countsText)
)

func pageForm(text string) *template.Template {
	t := template.Must(template.New("page").Parse(text))
	template.Must(t.New("head").Parse(headText))
	return t
}

// pagePolicy lets the page have its own style and nothing else: no script, no
// image, no form, no frame around it.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page serves what people see through the resource manager's web proxy. That
// proxy (org.apache.hadoop.yarn.server.webproxy.WebAppProxyServlet) passes GET,
// drops most headers, follows redirects itself and fails on answers without a
// body: so every answer has status 200 or an error's, and a body, and every link
// is relative. There is nothing to click that changes anything.
//
// Who may look at the application sees all of it, and everybody else counts.
type page struct {
	loop  *loop
	proxy *proxyHosts
}

func (l *loop) newPage() http.Handler {
	p := &page{loop: l}
	if len(l.opt.Web.ProxyHosts) > 0 {
		p.proxy = &proxyHosts{names: l.opt.Web.ProxyHosts}
	}
	return guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" { // no ServeMux: that answers "//" with a redirect
			p.health(w, r)
			return
		}
		p.show(w, r)
	}))
}

// guard sets what every answer has, and lets GET and HEAD through only.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "This page can only be read.", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *page) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// maxRows bounds each of the page's tables.
const maxRows = 500

type pageData struct {
	Info            *ampb.Info
	Name, State, Up string
	Style           template.CSS
	Containers      []pageContainer
	LeftOut         int
}

type pageContainer struct{ ID, Pool, Node, State, For string }

func (p *page) show(w http.ResponseWriter, r *http.Request) {
	user := ""
	if p.proxy != nil {
		if !p.proxy.has(r.Context(), r.RemoteAddr) {
			p.sendAway(w)
			return
		}
		user = proxyUser(r.Header)
	}
	info := p.loop.published.Load().info
	if p.loop.opt.Web.Open || p.loop.mayLook(user) {
		p.write(w, pageTemplate, pageOf(info))
		return
	}
	p.write(w, countsTemplate, countsOf(info, user))
}

// mayLook tells whether a user has a right that lets him look at the application; nobody's name is "".
func (l *loop) mayLook(user string) bool {
	if user == "" {
		return false
	}
	role, ok := l.policy().Of(user)
	return ok && lookers.includes(identity.Subject{App: l.opt.Spec.ID, Role: role, Name: user}, l.opt.Spec.User)
}

func (p *page) write(w http.ResponseWriter, t *template.Template, data any) {
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		p.loop.log.Error("cannot make the page", "err", err)
		http.Error(w, "The page cannot be made; the application master's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(out.Bytes())
}

func pageOf(info *ampb.Info) pageData {
	data := pageData{Info: info, Name: info.Name, State: strings.ToLower(info.State.String()), Up: age(info.Started.AsTime()), Style: pageStyle}
	if data.Name == "" {
		data.Name = info.App
	}
	for i, c := range info.Containers {
		if i == maxRows {
			data.LeftOut = len(info.Containers) - i
			break
		}
		data.Containers = append(data.Containers, pageContainer{c.Id, c.Pool, c.Node, c.State, age(c.Since.AsTime())})
	}
	return data
}

// countsData is all that somebody sees who has no right to look: of names only those that YARN shows to everybody, and
// his own.
type countsData struct {
	Name, Owner, User                          string // Name is the application's id; User is "" where nobody knows who asks
	State, Up                                  string
	Style                                      template.CSS
	Wanted, Asked, Starting, Running, Stopping int32 // containers
	Reported                                   bool
	Workers, Slots                             int32
	Waiting, Busy, Done, Failed                int64 // tasks
}

func countsOf(info *ampb.Info, user string) countsData {
	r := info.Report
	data := countsData{
		Name: info.App, Owner: info.User, User: user, State: strings.ToLower(info.State.String()), Up: age(info.Started.AsTime()), Style: pageStyle,
		Reported: r != nil, Workers: r.GetWorkers(), Slots: r.GetSlots(),
		Waiting: r.GetWaiting(), Busy: r.GetRunning(), Done: r.GetDone(), Failed: r.GetFailed(),
	}
	for _, pool := range info.Pools {
		data.Wanted += pool.Wanted
		data.Asked += pool.Asked
		data.Starting += pool.Starting
		data.Running += pool.Running
		data.Stopping += pool.Stopping
	}
	return data
}

// sendAway is what org.apache.hadoop.yarn.server.webproxy.amfilter.AmIpFilter does
// in Java: who comes past the proxy, and so without the cluster's
// authentication, is shown the way to it.
func (p *page) sendAway(w http.ResponseWriter) {
	if p.loop.opt.Web.ProxyURL == "" {
		http.Error(w, "This page is shown through the cluster's web proxy only.", http.StatusForbidden)
		return
	}
	w.Header().Set("Location", p.loop.opt.Web.ProxyURL)
	http.Error(w, "This page is at "+p.loop.opt.Web.ProxyURL, http.StatusFound)
}

func age(t time.Time) string { return time.Since(t).Round(time.Second).String() }

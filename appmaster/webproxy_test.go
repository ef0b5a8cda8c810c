package appmaster

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// site serves the page of an application of alice's that has in it all that there can be, and is submitted with access for
// bob, svc and ann; word is what the cluster says of that.
func site(t *testing.T, web Web, word provider.Vouching) (url string) {
	t.Helper()
	w := prepare(t, 0)
	w.spec.Access = spec.Access{View: "bob", Modify: "svc", Submit: "ann"}
	w.opt.Web, w.opt.Provider = web, &vouched{noProvider{}, word}
	l, err := newLoop(w.opt)
	if err != nil {
		t.Fatal(err)
	}
	now := timestamppb.Now()
	l.replace(&ampb.Info{
		App: w.spec.ID, Name: "hidden name", User: "alice", Why: "hidden reason", State: ampb.State_RUNNING, Started: now, Node: "hidden-am", Web: "hidden-web",
		Pools: []*ampb.Pool{
			{Name: "hidden-pool", Role: "worker", Wanted: 100, Running: 40, Asked: 8, Starting: 7, Stopping: 6, Waits: "hidden wait"},
			{Name: "scheduler", Role: "scheduler", Wanted: 1, Running: 1},
		},
		Containers: []*ampb.Container{{Id: "hidden_container", Node: "hidden-node", Pool: "hidden-pool", State: "running", Since: now}},
		Exits:      []*ampb.Exit{{Container: "hidden_exit", Node: "hidden-node", Cause: "hidden cause"}},
		Report: &ampb.Report{Workers: 39, Slots: 78, Waiting: 123, Running: 45, Done: 67, Failed: 9,
			Jobs: []*ampb.Job{{Id: "hidden-id", Name: "hidden job", State: "open", Tasks: 999}}},
	})
	srv := httptest.NewServer(l.newPage())
	t.Cleanup(srv.Close)
	return srv.URL
}

// visit asks for a page from 127.0.0.1, with lines of cookies, and follows no redirect.
func visit(t *testing.T, url string, cookies ...string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Cookie"] = cookies
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return ask(t, &client, req)
}

// What there is to see of it. Both kinds of page have the id.
const (
	nothing = "nothing"
	numbers = "counts"
	all     = "all"
)

// seen tells which of these an answer is, and checks that it is that wholly.
func seen(t *testing.T, a answer) string {
	t.Helper()
	shown := strings.Count(a.body, "hidden")
	switch {
	case a.status != 200:
		if shown > 0 || strings.Contains(a.body, "alice") {
			t.Errorf("an answer of status %d shows something:\n%s", a.status, a.body)
		}
		return nothing
	case shown == 0:
		for _, want := range []string{"local_1700000000000_0001", "of alice is <strong>running</strong>", "101 wanted, 8 asked for, 7 starting, 41 running, 6 stopping",
			"39 workers with 78 slots; tasks: 123 waiting, 45 running, 67 done, 9 failed"} {
			if !strings.Contains(a.body, want) {
				t.Errorf("no %q among the counts:\n%s", want, a.body)
			}
		}
		return numbers
	}
	for _, want := range []string{"hidden name", "hidden reason", "hidden-pool", "hidden wait", "hidden_container", "hidden-node", "hidden_exit", "hidden cause", "hidden-id", "hidden job"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %q in the page:\n%s", want, a.body)
		}
	}
	return all
}

// Whom the proxy names sees what he may, and nobody is taken for somebody else.
func TestPageAsksWhoLooks(t *testing.T) {
	behind := Web{ProxyHosts: []string{"127.0.0.1"}, ProxyURL: "http://rm.example.com:8088/proxy/app/"}
	open := behind
	open.Open = true
	elsewhere := Web{ProxyHosts: []string{"192.0.2.1"}, ProxyURL: behind.ProxyURL}
	openElsewhere := elsewhere
	openElsewhere.Open = true
	listed := provider.Vouching{Told: true, Access: spec.Access{View: "carol", Modify: "svc"}}
	for _, tc := range []struct {
		what    string
		web     Web
		word    provider.Vouching
		cookies []string
		want    string
	}{
		{what: "the owner", web: behind, cookies: []string{"proxy-user=alice"}, want: all},
		{what: "who may look", web: behind, cookies: []string{"proxy-user=bob"}, want: all},
		{what: "who may change", web: behind, cookies: []string{"proxy-user=svc"}, want: all},
		{what: "who may submit", web: behind, cookies: []string{"proxy-user=ann"}, want: all},
		{what: "a stranger", web: behind, cookies: []string{"proxy-user=eve"}, want: numbers},
		{what: "nobody", web: behind, want: numbers},
		{what: "a name that is empty", web: behind, cookies: []string{"proxy-user="}, want: numbers},
		{what: "everybody's name", web: behind, cookies: []string{"proxy-user=*"}, want: numbers},
		{what: "a principal", web: behind, cookies: []string{"proxy-user=alice%40EXAMPLE.COM"}, want: numbers},
		{what: "encoded", web: behind, cookies: []string{"proxy-user=%61lice"}, want: all},
		{what: "badly encoded", web: behind, cookies: []string{"proxy-user=alice%4"}, want: numbers},
		{what: "quoted", web: behind, cookies: []string{`proxy-user="alice"`}, want: numbers},
		{what: "twice", web: behind, cookies: []string{"proxy-user=alice; proxy-user=alice"}, want: numbers},
		{what: "twice, a stranger first", web: behind, cookies: []string{"proxy-user=eve; proxy-user=alice"}, want: numbers},
		{what: "on two lines", web: behind, cookies: []string{"proxy-user=alice", "proxy-user=alice"}, want: numbers},
		{what: "beside another", web: behind, cookies: []string{"checked_application_1_0001=true; proxy-user=alice"}, want: numbers},
		{what: "no cookie at all", web: behind, cookies: []string{"alice"}, want: numbers},
		{what: "another cookie", web: behind, cookies: []string{"user=alice"}, want: numbers},
		{what: "in other letters", web: behind, cookies: []string{"Proxy-User=alice"}, want: numbers},

		{what: "by the cluster's lists: the owner", web: behind, word: listed, cookies: []string{"proxy-user=alice"}, want: all},
		{what: "by the cluster's lists: who may look", web: behind, word: listed, cookies: []string{"proxy-user=carol"}, want: all},
		{what: "by the cluster's lists: who could at first", web: behind, word: listed, cookies: []string{"proxy-user=bob"}, want: numbers},
		{what: "everybody may: somebody", web: behind, word: provider.Vouching{Told: true, Access: spec.Access{View: "*"}}, cookies: []string{"proxy-user=eve"}, want: all},
		{what: "everybody may: nobody", web: behind, word: provider.Vouching{Told: true, Access: spec.Access{View: "*"}}, want: numbers},

		{what: "past the proxy", web: elsewhere, cookies: []string{"proxy-user=alice"}, want: nothing},
		{what: "past the proxy, where it is open", web: openElsewhere, cookies: []string{"proxy-user=alice"}, want: nothing},
		{what: "no proxy", web: Web{}, cookies: []string{"proxy-user=alice"}, want: numbers},
		{what: "no proxy, where it is open", web: Web{Open: true}, want: all},

		{what: "no lists: the owner", web: open, cookies: []string{"proxy-user=alice"}, want: all},
		{what: "no lists: a stranger", web: open, cookies: []string{"proxy-user=dr.who"}, want: all},
		{what: "no lists: nobody", web: open, want: all},
	} {
		t.Run(tc.what, func(t *testing.T) {
			if got := seen(t, visit(t, site(t, tc.web, tc.word), tc.cookies...)); got != tc.want {
				t.Errorf("sees %s, want %s", got, tc.want)
			}
		})
	}
}

// Who sees counts alone is told why, and what to do; what he calls himself harms nobody.
func TestPageOfCounts(t *testing.T) {
	url := site(t, Web{ProxyHosts: []string{"127.0.0.1"}}, provider.Vouching{})
	for cookie, want := range map[string]string{
		"proxy-user=eve":               "That is all that eve may see here. Ask alice to submit with <code>--view-acl eve</code>.",
		"proxy-user=%3Cscript%3Ex%22y": "all that &lt;script&gt;x&#34;y may see here",
		"":                             "does not say who he is. Those who may look see more with <code>yarnd status local_1700000000000_0001</code>",
	} {
		a := visit(t, url, cookie)
		if a.status != 200 || !strings.Contains(a.body, want) || strings.Contains(a.body, "<script") {
			t.Errorf("%q: %d\n%s", cookie, a.status, a.body)
		}
		if got := a.header.Get("Content-Security-Policy"); got != pagePolicy || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %v", cookie, a.header)
		}
	}
}

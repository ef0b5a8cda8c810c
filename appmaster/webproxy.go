package appmaster

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// proxyCookie names the user whom the web proxy has authenticated. It is not signed, so it counts from the proxy's
// addresses alone. The proxy sends no other cookie, and passes none on.
//
// Source: org.apache.hadoop.yarn.server.webproxy.WebAppProxyServlet, PROXY_USER_COOKIE_NAME.
const proxyCookie = "proxy-user"

// proxyUser is whom the web proxy names in a request of its own; "" where it names nobody, or not in the one way in which
// it does: one cookie, encoded as a form is (java.net.URLEncoder).
func proxyUser(h http.Header) string {
	lines := h["Cookie"]
	if len(lines) != 1 {
		return ""
	}
	cookies, err := http.ParseCookie(lines[0])
	if err != nil || len(cookies) != 1 || cookies[0].Name != proxyCookie || cookies[0].Quoted {
		return ""
	}
	user, err := url.QueryUnescape(cookies[0].Value)
	if err != nil {
		return ""
	}
	return user
}

// proxyHosts knows the addresses of the web proxy's hosts. Names are looked up
// again after a while, and then the last answer stands for one that fails.
type proxyHosts struct {
	names []string

	mu    sync.Mutex
	addrs []string
	when  time.Time
}

const proxyLookup = 5 * time.Minute

func (h *proxyHosts) has(ctx context.Context, remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.addrs == nil || time.Since(h.when) > proxyLookup {
		h.lookUp(ctx)
	}
	return ip != nil && slices.ContainsFunc(h.addrs, func(a string) bool { return ip.Equal(net.ParseIP(a)) })
}

func (h *proxyHosts) lookUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var addrs []string
	for _, name := range h.names {
		if found, err := net.DefaultResolver.LookupHost(ctx, name); err == nil {
			addrs = append(addrs, found...)
		}
	}
	if len(addrs) > 0 {
		h.addrs, h.when = addrs, time.Now()
	}
}

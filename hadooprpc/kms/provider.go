package kms

import (
	"fmt"
	"net/url"
	"strings"
)

// Provider is a KMS: one server, or several that share their keys and tokens.
type Provider struct {
	Service string   // of its tokens: the URI as it was named, byte by byte, for Java compares it so
	Servers []string // the URL of each: "http://host1:9600/kms"
	TLS     bool     // what is said to them is encrypted
}

// Parse reads the URI of a key provider, kms://http@host1;host2:9600/kms: all hosts have one port. ok is false where it is
// none of a KMS, such as a file of keys: those have no tokens. Source: KMSClientProvider.Factory, getDtService.
func Parse(uri string) (p Provider, ok bool, err error) {
	fail := func(format string, args ...any) (Provider, bool, error) {
		return Provider{}, false, &Error{Kind: BadURI, Where: uri, Reason: fmt.Sprintf(format, args...),
			Cure: "it must be like kms://http@HOST:9600/kms: correct hadoop.security.key.provider.path"}
	}
	service, _, _ := strings.Cut(strings.TrimSpace(uri), "#")
	rest, ok := strings.CutPrefix(service, "kms://")
	if !ok {
		return Provider{}, false, nil
	}
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	protocol, hosts, ok := strings.Cut(authority, "@")
	if !ok || protocol != "http" && protocol != "https" {
		return fail("it does not say http@ or https@")
	}
	hosts, port, hasPort := strings.Cut(hosts, ":")
	if hasPort {
		port = ":" + port
	}
	if path = strings.TrimSuffix(path, "/"); path != "" {
		path = "/" + path
	}
	p = Provider{Service: service, TLS: protocol == "https"}
	for host := range strings.SplitSeq(hosts, ";") {
		server := protocol + "://" + host + port + path
		u, err := url.Parse(server)
		if err != nil || host == "" || u.Hostname() != host || hasPort && (u.Port() == "" || u.Host != host+port) {
			return fail("%q is no server with a port", host+port)
		}
		p.Servers = append(p.Servers, server)
	}
	return p, true, nil
}

package hdfs

import (
	"io/fs"
	"net"
	"path"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/login"
)

// location is a name taken apart. Hadoop does not unescape its URLs, so this
// is not net/url: "hdfs://nn/a%20b" is the file "a%20b".
type location struct {
	scheme    string // lower case; "" for a plain path
	authority string // lower case; "" when absent
	path      string // as written, possibly relative when there is no scheme
}

// parseName takes a name apart. A scheme needs a slash after its colon, so
// that a relative path may hold a colon.
func parseName(name string) (location, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return location{}, &Error{Op: "resolve", Path: name, Kind: fs.ErrInvalid, Detail: "an empty name or one with a zero byte"}
	}
	scheme, rest, found := strings.Cut(name, ":/")
	if !found || !isScheme(scheme) {
		return location{path: name}, nil
	}
	l := location{scheme: strings.ToLower(scheme), path: "/" + rest}
	if after, ok := strings.CutPrefix(rest, "/"); ok {
		authority, p, _ := strings.Cut(after, "/")
		l.authority, l.path = strings.ToLower(authority), "/"+p
	}
	return l, nil
}

func isScheme(s string) bool {
	for i, c := range s {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return s != ""
}

// names resolves names for one file system.
type names struct {
	scheme    string
	authority string // as URLs show it, a nameservice as the configuration writes it; "" for local files
	home      string
}

// Resolve implements FS.
func (n names) Resolve(name string) (string, error) {
	l, err := parseName(name)
	if err != nil {
		return "", err
	}
	if l.scheme != "" && (l.scheme != n.scheme || (l.authority != "" && !n.sameAuthority(l.authority))) {
		return "", &Error{Op: "resolve", Path: name, Kind: fs.ErrInvalid,
			Detail: "it belongs to another file system than " + n.root()}
	}
	if !strings.HasPrefix(l.path, "/") {
		l.path = n.home + "/" + l.path
	}
	return path.Clean(l.path), nil
}

// sameAuthority takes "nn" and "nn:8020" for the same, as Hadoop does. a is in lower case.
func (n names) sameAuthority(a string) bool {
	if n.scheme == "file" {
		return a == "localhost"
	}
	own := strings.ToLower(n.authority)
	return a == own || withPort(a) == withPort(own)
}

func withPort(authority string) string {
	if _, _, err := net.SplitHostPort(authority); err == nil {
		return authority
	}
	return net.JoinHostPort(authority, login.NameNodePort)
}

// URL implements FS.
func (n names) URL(name string) (string, error) {
	p, err := n.Resolve(name)
	return n.root() + p, err
}

func (n names) root() string { return n.scheme + "://" + n.authority }

// Home implements FS.
func (n names) Home() string { return n.home }

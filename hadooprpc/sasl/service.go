package sasl

import (
	"regexp"
	"strings"
)

// hostPlaceholder in a configured principal is the server's host. Source: SecurityUtil.HOSTNAME_PATTERN.
const hostPlaceholder = "_HOST"

// Service is the principal that a server must have.
type Service struct {
	// Principal is "nn/_HOST@EXAMPLE.COM": a service, its host or _HOST, and its realm, which may be left out.
	Principal string
	// Pattern, if there is one, is a glob that the server's principal without its realm, or with it, must match; Principal is
	// then of no meaning but for its realm.
	Pattern string
	// Key is the configuration's name of Principal, for messages: "dfs.namenode.kerberos.principal".
	Key string
}

// verify returns the principal to get a ticket for, if what the server says of itself is what it must be. A server's
// word alone is never taken: whoever has some key of the realm could stand in the way.
// Source: SaslRpcClient.getServerPrincipal (3.4.2).
func (s Service) verify(o Offer, host string) (string, error) {
	said := o.Protocol + "/" + o.ServerID
	if strings.ContainsAny(o.Protocol, "/@") || strings.ContainsAny(o.ServerID, "/@") {
		return "", failf("the server says that it is %q, which is no service on a host", clip(said)) // and may not choose its realm
	}
	name, realm, hasRealm := strings.Cut(s.Principal, "@")
	suffix := ""
	if hasRealm {
		suffix = "@" + realm
	}
	if s.Pattern != "" {
		glob, err := compileGlob(s.Pattern)
		if err != nil {
			return "", &Error{Reason: s.Key + ".pattern", Err: err}
		}
		if !glob.MatchString(said) && !glob.MatchString(said+suffix) {
			return "", failf("the server says that it is %s, which does not match %s.pattern = %s", clip(said), s.Key, s.Pattern)
		}
		return said + suffix, nil
	}
	if s.Principal == "" {
		return "", failf("the server wants Kerberos, and %s is not set: copy it from the cluster's configuration", s.Key)
	}
	service, instance, ok := strings.Cut(name, "/")
	if !ok || instance == "" {
		return "", failf("%s = %s has no host: it must be like %s/_HOST@REALM", s.Key, s.Principal, service)
	}
	if instance == hostPlaceholder {
		instance = strings.ToLower(host)
	}
	if want := service + "/" + instance; said != want {
		return "", failf("the server at %s says that it is %s, and by %s it must be %s: if that is another name of the same host, use it in the configuration's addresses",
			host, clip(said), s.Key, want)
	}
	return said + suffix, nil
}

// compileGlob knows *, ?, [a-z], [^a] or [!a], {a,b} and \. Source: org.apache.hadoop.fs.GlobPattern.
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	braces, set := 0, false
	for i := 0; i < len(glob); i++ {
		c := glob[i]
		switch {
		case c == '\\':
			if i++; i == len(glob) {
				return nil, failf("the pattern %q ends in a backslash", glob)
			}
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		case set:
			set = c != ']'
			if c == '[' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case c == '[':
			set = true
			b.WriteByte(c)
			if i+1 < len(glob) && (glob[i+1] == '!' || glob[i+1] == '^') {
				b.WriteByte('^')
				i++
			}
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteByte('.')
		case c == '{':
			braces++
			b.WriteString("(?:")
		case c == ',' && braces > 0:
			b.WriteByte('|')
		case c == '}' && braces > 0:
			braces--
			b.WriteByte(')')
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	if set || braces > 0 {
		return nil, failf("the pattern %q has a bracket that is not closed", glob)
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

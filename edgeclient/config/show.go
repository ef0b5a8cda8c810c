package config

import (
	"net/url"
	"regexp"
	"strings"
)

// Hidden stands for a value that is not shown.
const Hidden = "(hidden)"

// secretName matches names whose values are not for eyes. It is wide: a value that is
// hidden for nothing can be looked up where it was set.
var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|credential|key|auth|private|cookie|sas\b|sas[._-]`)

// Shown is an entry's value for people: in one line, without secrets.
func (e Entry) Shown() string { return strings.Join(e.ShownValues(), ",") }

// ShownValues are an entry's values for people, without secrets.
func (e Entry) ShownValues() []string {
	shown := make([]string, 0, len(e.Values))
	for _, v := range e.Values {
		if e.Sub != "" && secretName.MatchString(e.Sub) {
			v = Hidden
		}
		shown = append(shown, redact(v))
	}
	return shown
}

// FullKey is the key with the name in a map.
func (e Entry) FullKey() string {
	if e.Sub == "" {
		return e.Key
	}
	return e.Key + "." + e.Sub
}

// redact takes the password out of a URL.
func redact(v string) string {
	if !strings.Contains(v, "://") || !strings.Contains(v, "@") {
		return v
	}
	u, err := url.Parse(v)
	if err != nil {
		return Hidden
	}
	return u.Redacted()
}

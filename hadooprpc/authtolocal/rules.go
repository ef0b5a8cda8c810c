package authtolocal

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// Rules turn principals into short names. They are safe for concurrent use.
type Rules struct {
	rules []rule
	realm string // the default one
	mit   bool
}

// rule is DEFAULT, where format is nil, or RULE:[n:format](match)s/from/to/g/L.
type rule struct {
	text        string
	components  int
	format      *string
	match, from *regexp.Regexp // nil: there is none
	to          string
	all, lower  bool
}

const (
	keyRules     = "hadoop.security.auth_to_local"
	keyMechanism = "hadoop.security.auth_to_local.mechanism"
)

// FromConf reads the rules of a configuration. defaultRealm is that of krb5.conf; "" where there is none.
func FromConf(c *conf.Conf, defaultRealm string) (*Rules, error) {
	return Parse(c.String(keyRules, "DEFAULT"), c.String(keyMechanism, "hadoop"), defaultRealm)
}

var ruleForm = regexp.MustCompile(`^\s*((DEFAULT)|(RULE:\[(\d*):([^\]]*)\](\(([^)]*)\))?(s/([^/]*)/([^/]*)/(g)?)?))/?(L)?`)

// Parse reads rules, one after the other with or without space between. The mechanism is "hadoop", which refuses
// results that have a slash or an at sign, or "mit".
func Parse(rules, mechanism, defaultRealm string) (*Rules, error) {
	r := &Rules{realm: defaultRealm, mit: strings.EqualFold(mechanism, "mit")}
	if !r.mit && !strings.EqualFold(mechanism, "hadoop") {
		return nil, fmt.Errorf("%s: %q is neither hadoop nor mit", keyMechanism, mechanism)
	}
	for rest := strings.TrimSpace(rules); rest != ""; {
		m := ruleForm.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("%s: no rule begins with %q", keyRules, clip(rest))
		}
		rest = rest[len(m[0]):]
		one, err := newRule(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", keyRules, strings.TrimSpace(m[0]), err)
		}
		r.rules = append(r.rules, one)
	}
	return r, nil
}

func newRule(m []string) (x rule, err error) {
	x.text = strings.TrimSpace(m[1])
	if m[2] != "" {
		return x, nil
	}
	if x.components, err = strconv.Atoi(m[4]); err != nil {
		return x, fmt.Errorf("%q is no number of components", m[4])
	}
	x.format, x.to, x.all, x.lower = &m[5], m[10], m[11] != "", m[12] != ""
	if m[6] != "" {
		if x.match, err = regexp.Compile(`\A(?:` + m[7] + `)\z`); err != nil {
			return x, err
		}
	}
	if m[8] != "" {
		x.from, err = regexp.Compile(m[9])
	}
	return x, err
}

func clip(s string) string { return s[:min(len(s), 60)] }

var nameForm = regexp.MustCompile(`^([^/@]+)(/([^/@]+))?(@([^/@]+))?$`)

// ShortName is the short name of a principal such as "alice@EXAMPLE.COM" or "nn/host@EXAMPLE.COM".
func (r *Rules) ShortName(principal string) (string, error) {
	m := nameForm.FindStringSubmatch(principal)
	if m == nil {
		if strings.Contains(principal, "@") {
			return "", fmt.Errorf("%q is no Kerberos principal", principal)
		}
		return principal, nil
	}
	service, host, realm := m[1], m[3], m[5]
	params := []string{realm, service}
	if host != "" {
		params = append(params, host)
	} else if realm == "" {
		return service, nil
	}
	for _, one := range r.rules {
		name, ok, err := one.apply(params, r.realm)
		if err != nil {
			return "", fmt.Errorf("%s: %s applied to %s: %w", keyRules, one.text, principal, err)
		}
		if !ok {
			continue
		}
		if !r.mit && strings.ContainsAny(name, "/@") {
			return "", fmt.Errorf("%s: %s makes %q of %s, and a short name has neither / nor @", keyRules, one.text, name, principal)
		}
		if one.lower {
			name = strings.ToLower(name)
		}
		return name, nil
	}
	if !r.mit {
		return "", fmt.Errorf("%s has no rule for %s: the default realm is %q", keyRules, principal, r.realm)
	}
	return principal, nil
}

// apply is what the rule makes of the realm, and the components after it; ok tells whether it applies.
func (x rule) apply(params []string, defaultRealm string) (name string, ok bool, err error) {
	if x.format == nil {
		return params[1], params[0] == defaultRealm, nil
	}
	if len(params)-1 != x.components {
		return "", false, nil
	}
	base, err := insert(*x.format, params)
	if err != nil || x.match != nil && !x.match.MatchString(base) {
		return "", false, err
	}
	if x.from == nil {
		return base, true, nil
	}
	name, err = x.substitute(base)
	return name, err == nil, err
}

// insert replaces $n by params[n].
func insert(format string, params []string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(format, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
		n, err := strconv.Atoi(after[:digits])
		if err != nil || n >= len(params) {
			return "", fmt.Errorf("$%s is none of $0 to $%d", after[:digits], len(params)-1)
		}
		b.WriteString(params[n])
		format = after[digits:]
	}
}

// substitute replaces the first match of from, or all.
func (x rule) substitute(base string) (string, error) {
	n := 1
	if x.all {
		n = -1
	}
	var b strings.Builder
	end := 0
	for _, m := range x.from.FindAllStringSubmatchIndex(base, n) {
		b.WriteString(base[end:m[0]])
		if err := replacement(&b, x.to, base, m); err != nil {
			return "", err
		}
		end = m[1]
	}
	b.WriteString(base[end:])
	return b.String(), nil
}

// replacement writes what Java makes of to: $n is a group, of as many digits as there are groups, and a backslash
// takes its meaning from what follows. Source: java.util.regex.Matcher.appendReplacement.
func replacement(b *strings.Builder, to, base string, m []int) error {
	for i := 0; i < len(to); i++ {
		switch {
		case to[i] == '\\':
			if i++; i == len(to) {
				return fmt.Errorf("the replacement %q ends in a backslash", to)
			}
			b.WriteByte(to[i])
		case to[i] == '$':
			i++
			if i == len(to) || to[i] < '0' || to[i] > '9' {
				return fmt.Errorf("the replacement %q has a $ without a group", to)
			}
			group := int(to[i] - '0')
			for i+1 < len(to) && to[i+1] >= '0' && to[i+1] <= '9' && 10*group+int(to[i+1]-'0') < len(m)/2 {
				i++
				group = 10*group + int(to[i]-'0')
			}
			if group >= len(m)/2 {
				return fmt.Errorf("the replacement %q names group %d of %d", to, group, len(m)/2-1)
			}
			if m[2*group] >= 0 {
				b.WriteString(base[m[2*group]:m[2*group+1]])
			}
		default:
			b.WriteByte(to[i])
		}
	}
	return nil
}

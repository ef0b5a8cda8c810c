package conf

import "strings"

// maxSubstitutions is Configuration.MAX_SUBST: so many replacements are made
// in one value before it is refused. With maxValue it also bounds the memory
// that nested references can take.
const maxSubstitutions = 20

// expand replaces ${} references from the left, one at a time, looking into
// each replacement again. It follows Configuration.substituteVars: an unknown
// name ends the expansion and stays as written, and a value that contains the
// very reference being replaced gives the original back. ok is false when the
// limit was reached.
func (c *Conf) expand(expr string) (value string, ok bool) {
	s := expr
	for range maxSubstitutions {
		start, end := findReference(s)
		if start < 0 {
			return s, true
		}
		val, known := c.resolve(s[start+2 : end-1])
		if !known {
			return s, true
		}
		if strings.Contains(val, s[start:end]) {
			return expr, true
		}
		s = s[:start] + val + s[end:]
	}
	return expr, false
}

// findReference returns the bounds of the left-most "${name}" in s, where name
// is not empty and holds no space, '$' or '}'; start is -1 when there is none.
func findReference(s string) (start, end int) {
	for from := 0; ; {
		i := strings.Index(s[from:], "${")
		if i < 0 {
			return -1, -1
		}
		start = from + i
		n := strings.IndexAny(s[start+2:], "} $")
		if n < 0 {
			return -1, -1
		}
		end = start + 2 + n
		if s[end] == '}' && n > 0 {
			return start, end + 1
		}
		from = end
		if s[end] != '$' {
			from++
		}
	}
}

// resolve finds what a name inside ${} stands for: the environment for "env.",
// else a system property, else another key of the configuration.
func (c *Conf) resolve(name string) (string, bool) {
	if rest, isEnv := strings.CutPrefix(name, "env."); isEnv && rest != "" {
		if v, ok := c.resolveEnv(rest); ok {
			return v, true
		}
	} else if v, ok := c.sys[name]; ok {
		return v, true
	}
	p, ok := c.lookup(name)
	return p.raw, ok
}

// resolveEnv reads NAME, NAME-default (when unset) or NAME:-default (when unset
// or empty).
func (c *Conf) resolveEnv(spec string) (string, bool) {
	i := strings.IndexByte(spec, '-')
	if i < 0 {
		return c.env(spec)
	}
	if i > 0 && spec[i-1] == ':' {
		if v, ok := c.env(spec[:i-1]); ok && v != "" {
			return v, true
		}
		return spec[i+1:], true
	}
	if v, ok := c.env(spec[:i]); ok {
		return v, true
	}
	return spec[i+1:], true
}

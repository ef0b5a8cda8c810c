package krb5

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A krb5.conf is a profile: sections of relations, whose values may be braced groups of relations, and directives that
// include other files. Source: MIT's krb5.conf(5).

const (
	maxProfile = 1 << 20 // bytes of a file
	maxDepth   = 10      // of includes
)

// profile is what was read: per section its lines, in order.
type profile struct {
	sections map[string][]string
	order    []string
	files    []string // that were read
}

// includeName are the files that includedir takes.
var includeName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// readProfile reads files, of which those that are missing are passed over if another is there.
func readProfile(files []string) (*profile, error) {
	p := &profile{sections: map[string][]string{}}
	var missing error
	for _, f := range files {
		err := p.read(f, 0)
		if os.IsNotExist(err) {
			missing = err
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	if len(p.files) == 0 {
		return nil, missing
	}
	return p, nil
}

func (p *profile) read(file string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: files that include each other", file)
	}
	b, err := readBounded(file, maxProfile)
	if err != nil {
		return err
	}
	p.files = append(p.files, file)
	section := ""
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		word, rest := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			word, rest = line[:i], line[i+1:]
		}
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case word == "include":
			err = p.read(strings.TrimSpace(rest), depth+1)
		case word == "includedir":
			err = p.readDir(strings.TrimSpace(rest), depth+1)
		case word == "module":
			// It names a C library.
		case line[0] == '[':
			end := strings.IndexByte(line, ']')
			if end < 0 {
				return fmt.Errorf("%s:%d: a section's name without a closing bracket", file, n+1)
			}
			section = line[1:end]
			if !slices.Contains(p.order, section) {
				p.order = append(p.order, section)
			}
		case section == "":
			return fmt.Errorf("%s:%d: %q stands before any section", file, n+1, line)
		default:
			p.sections[section] = append(p.sections[section], line)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
	}
	return nil
}

func (p *profile) readDir(dir string, depth int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !includeName.MatchString(name) && (!strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".")) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if err := p.read(path, depth); err != nil {
			return err
		}
	}
	return nil
}

// known are the relations of a realm that the library reads.
var known = []string{"kdc", "admin_server", "default_domain", "kpasswd_server", "master_kdc"}

// unread are relations of libdefaults that the library takes for errors although they are right, or reads to no good.
var unread = []string{"kdc_default_options", "safe_checksum_type", "preferred_preauth_types", "ccache_type", "kdc_timesync", "extra_addresses"}

// text is the profile as the library reads it: one part for each section, without what it does not know.
// Where a relation stands twice the first counts, as in MIT's library; the library takes the last.
func (p *profile) text() (string, error) {
	var b strings.Builder
	for _, section := range p.order {
		lines := p.sections[section]
		var err error
		switch section {
		case "libdefaults":
			lines = firsts(flat(lines), unread)
		case "domain_realm":
			lines = firsts(flat(lines), nil)
		case "realms":
			lines, err = realms(lines)
		default:
			continue
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "[%s]\n%s\n", section, strings.Join(lines, "\n"))
	}
	return b.String(), nil
}

// flat are the relations with plain values: groups are left out.
func flat(lines []string) []string {
	var out []string
	depth := 0
	for _, l := range lines {
		opens, closes := strings.HasSuffix(uncommented(l), "{"), strings.HasPrefix(l, "}")
		if depth == 0 && !opens && !closes {
			out = append(out, l)
		}
		if opens {
			depth++
		}
		if closes && depth > 0 {
			depth--
		}
	}
	return out
}

// uncommented is the line without a comment after its value.
func uncommented(l string) string {
	if i := strings.IndexAny(l, "#;"); i >= 0 {
		l = l[:i]
	}
	return strings.TrimSpace(l)
}

// firsts keeps the first relation of each name, and none of the left out.
func firsts(lines, without []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range lines {
		key, _, ok := strings.Cut(uncommented(l), "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok || key == "" || seen[key] || slices.Contains(without, key) {
			continue
		}
		seen[key] = true
		out = append(out, l)
	}
	return out
}

// realms merges the groups of the same name and leaves out what is unknown in them.
func realms(lines []string) ([]string, error) {
	var order []string
	groups := map[string][]string{}
	name, depth := "", 0
	for _, raw := range lines {
		l := uncommented(raw)
		switch key, value, ok := strings.Cut(l, "="); {
		case l == "":
		case strings.HasPrefix(l, "}"):
			if depth--; depth < 0 {
				return nil, fmt.Errorf("[realms]: a closing brace without an opening one")
			}
		case ok && strings.HasPrefix(strings.TrimSpace(value), "{"):
			if depth++; depth == 1 {
				if name = strings.TrimSpace(key); strings.ContainsAny(name, "{}") {
					return nil, fmt.Errorf("[realms]: %q is no realm's name", name)
				}
				if !slices.Contains(order, name) {
					order = append(order, name)
				}
				if rest, closed := strings.CutSuffix(l, "}"); closed { // all of it in one line
					depth--
					_, inner, _ := strings.Cut(rest, "{")
					if key, value, ok := strings.Cut(inner, "="); ok {
						groups[name] = appendKnown(groups[name], key, value)
					}
				}
			}
		case depth == 1 && ok:
			groups[name] = appendKnown(groups[name], key, value)
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("[realms]: a brace is not closed in %s", name)
	}
	var out []string
	for _, name := range order {
		out = append(out, name+" = {")
		out = append(append(out, groups[name]...), "}")
	}
	return out, nil
}

func appendKnown(group []string, key, value string) []string {
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	if !slices.Contains(known, key) || value == "" || strings.ContainsAny(value, "{}") { // the library counts braces wherever they are
		return group
	}
	// Ports are appended to hosts that have none by looking for a colon: those of an address of IPv6 are in the way.
	if key == "kdc" {
		value, _ = strings.CutPrefix(value, "tcp/")
		value, _ = strings.CutPrefix(value, "udp/")
		if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
			value += ":88"
		}
	}
	return append(group, key+" = "+value)
}

// relation is the first value of a relation with a plain value.
func (p *profile) relation(section, key string) string {
	for _, l := range flat(p.sections[section]) {
		k, v, ok := strings.Cut(uncommented(l), "=")
		if ok && strings.EqualFold(strings.TrimSpace(k), key) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// readBounded reads a file that is no larger than max bytes.
func readBounded(file string, max int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > max {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", file, max)
	}
	return os.ReadFile(file)
}

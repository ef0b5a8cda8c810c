package packaging

import (
	"fmt"
	"path"
	"strings"
)

// Kind tells how a resource arrives in a container.
type Kind int

const (
	// File arrives as it is.
	File Kind = iota
	// Archive is unpacked by the node manager into a directory.
	Archive
)

func (k Kind) String() string {
	if k == Archive {
		return "archive"
	}
	return "file"
}

// Spec is what a user named: a local path or a URL, and the name that it gets
// in the containers.
type Spec struct {
	Source string
	Name   string
	Kind   Kind
	Limits Limits // of an archive
}

// ParseSpec reads "source" or "source#name". Without a name the last element
// of the source is taken. The name has to be a plain file name of letters,
// digits and ._+-: node managers put it into a shell script unquoted.
func ParseSpec(s string, kind Kind) (Spec, error) {
	source, name := s, ""
	if i := strings.LastIndexByte(s, '#'); i >= 0 && !strings.Contains(s[i:], "/") {
		source, name = s[:i], s[i+1:]
		if name == "" {
			return Spec{}, &SpecError{Spec: s, Why: "there is no name after the #"}
		}
	}
	if source == "" {
		return Spec{}, &SpecError{Spec: s, Why: "it names no file"}
	}
	if name == "" {
		name = path.Base(strings.TrimRight(source, "/"))
	}
	if why := badName(name); why != "" {
		return Spec{}, &SpecError{Spec: s, Why: fmt.Sprintf("the name %q %s; give it another one with %s#name", name, why, source)}
	}
	return Spec{Source: source, Name: name, Kind: kind}, nil
}

// SpecError is a file or archive that was not named in a usable way.
type SpecError struct{ Spec, Why string }

func (e *SpecError) Error() string { return fmt.Sprintf("%q: %s", e.Spec, e.Why) }

// reserved are the names that the node manager itself uses in the working
// directory of a container.
var reserved = []string{"launch_container.sh", "container_tokens", "sysfs", "tmp",
	"default_container_executor.sh", "default_container_executor_session.sh"}

// badName says what is wrong with a name, or "".
func badName(name string) string {
	if name == "" || name == "." || name == ".." || strings.HasPrefix(name, "-") || len(name) > 200 {
		return "is not usable as a file name"
	}
	for _, c := range name {
		if !isPlain(c) {
			return fmt.Sprintf("has the character %q (letters, digits and . _ + - are allowed)", c)
		}
	}
	for _, r := range reserved {
		if name == r || strings.HasPrefix(name, "."+r) {
			return "is used by YARN itself"
		}
	}
	return ""
}

func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._+-", c)
}

// plainName makes a name for the cache out of a source's: the part that the
// node manager sees is harmless to its scripts, the suffix stays.
func plainName(source string) string {
	name := strings.Map(func(c rune) rune {
		if isPlain(c) {
			return c
		}
		return '_'
	}, path.Base(source))
	name = strings.TrimLeft(name, ".-")
	if len(name) > 100 {
		name = name[len(name)-100:]
	}
	if name == "" {
		return "file"
	}
	return name
}

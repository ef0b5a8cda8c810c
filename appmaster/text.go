package appmaster

import (
	"strings"
	"unicode"
)

// printable makes what a process wrote fit for diagnostics and logs: valid UTF-8
// without control characters other than the ends of lines, and no partial first
// line.
func printable(text []byte) string {
	s := strings.ToValidUTF8(string(text), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

package cli

import (
	"bufio"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// commandLine finds the commands of a document: in blocks of code, also behind a pipe
// or within $(…).
var commandLine = regexp.MustCompile("yarnd ([^|)`]+)")

// Every command in the page on environments exists and has the flags that it names.
func TestEnvironmentsPage(t *testing.T) {
	f, err := os.Open("../../docs/environments.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found, code := 0, false
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "```") {
			code = !code
		}
		if !code {
			continue
		}
		for _, m := range commandLine.FindAllStringSubmatch(s.Text(), -1) {
			found++
			root := (&command{Streams: Streams{Out: io.Discard, Err: io.Discard}}).root()
			args, _, _ := strings.Cut(m[1], " -- ")
			cmd, rest, err := root.Find(strings.Fields(args))
			if err == nil && cmd == root {
				err = os.ErrNotExist
			}
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: %v", m[0], err)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d commands found", found)
	}
}

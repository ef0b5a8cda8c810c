package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/yarnd/yarnd/engine/graph"
)

// startFailure tells why a command did not start, what would help, and the codes of
// a shell.
func startFailure(name string, err error) *graph.Failure {
	f := &graph.Failure{Kind: graph.FailUser, ExitCode: 126}
	hint := ""
	switch {
	case errors.Is(err, exec.ErrDot):
		hint = "; write ./" + name
	case errors.Is(err, syscall.ENOEXEC):
		hint = "; it is no program for this node, nor a script: those begin with #! and their interpreter"
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		f.ExitCode, hint = 127, "; "+whatIsMissing(name)
	}
	f.Message = fmt.Sprintf("%s cannot be started: %v%s", name, err, hint)
	return f
}

// whatIsMissing says which part of a program's name is not there, and what is.
func whatIsMissing(name string) string {
	const ship = "ship it with --files or --archives, or name its full path on the nodes"
	if !strings.ContainsRune(name, '/') {
		if _, err := os.Stat(name); err == nil {
			return "write ./" + name
		}
		return ship
	}
	if info, err := os.Lstat(name); err == nil {
		if target, err := os.Readlink(name); err == nil {
			return "it is a link to " + target + ", which this node does not have"
		}
		if info.Mode().IsRegular() {
			return "the interpreter that its first line names, or its loader, is not on this node"
		}
	}
	dir := filepath.Dir(name)
	for {
		entries, err := os.ReadDir(dir)
		if err == nil {
			return fmt.Sprintf("%s has %s; %s", where(dir), list(entries), ship)
		}
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return ship
		}
		dir = up
	}
}

func where(dir string) string {
	if dir == "." {
		return "the command's directory"
	}
	return dir
}

// list names a directory's first entries, without the hidden ones.
func list(entries []fs.DirEntry) string {
	const most = 10
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

package edgeclient

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// StateDir is where yarnd keeps what belongs to this user on this host:
// $YARND_HOME, or ~/.yarnd.
func StateDir() (string, error) {
	if d := os.Getenv("YARND_HOME"); d != "" {
		return filepath.Abs(d)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &Fault{Code: Usage, What: "no home directory", Why: err, Next: "Set HOME or YARND_HOME"}
	}
	return filepath.Join(home, ".yarnd"), nil
}

// SetCurrent remembers id as this user's current application on this host, until that
// ends by Kill or Stop, or Connect finds that it has ended.
func SetCurrent(id string) error {
	path, err := currentFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, []byte(id+"\n"), 0o600)
}

func currentFile() (string, error) {
	dir, err := StateDir()
	return filepath.Join(dir, "current"), err
}

// Current returns what names the current application: $YARND_APP, which may be any
// name that Find knows, or the id or address that SetCurrent remembered.
func Current() (string, error) {
	next := "Run yarnd connect APP, or set YARND_APP"
	if app := os.Getenv("YARND_APP"); app != "" && app != "current" {
		if _, err := matcher(app); err != nil && app != "last" && !IsID(app) && !IsAddress(app) {
			return "", &Fault{Code: Usage, What: fmt.Sprintf("YARND_APP is %q, which names no application", app), Next: appRule}
		}
		return app, nil
	}
	path, err := currentFile()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &Fault{Code: NotFound, What: "there is no current application", Next: next}
	}
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(text))
	if !IsID(id) && !IsAddress(id) {
		return "", &Fault{Code: Usage, What: fmt.Sprintf("%s says %q, which is neither an id nor a scheduler's address", path, id), Next: next}
	}
	return id, nil
}

// remembered tells whether SetCurrent remembers id, and where.
func remembered(id string) (path string, ok bool) {
	path, err := currentFile()
	if err != nil {
		return "", false
	}
	text, err := os.ReadFile(path)
	return path, err == nil && strings.TrimSpace(string(text)) == id
}

// forget ends that id is the current application, as it has ended. A file that stays
// for want of rights is told of when somebody relies on it.
func forget(id string) {
	if path, ok := remembered(id); ok {
		os.Remove(path)
	}
}

// anotherApp is what to do when the remembered application is of no use any more.
const anotherApp = "Name another, or run yarnd connect last"

// unknownRemembered says, of an id that the cluster does not know, that it was only
// remembered. It stays remembered: the cluster may be another one than then.
func unknownRemembered(id string, err error) error {
	if path, ok := remembered(id); ok && CodeOf(err) == NotFound {
		return &Fault{Code: NotFound, What: "the current application, which yarnd connect wrote to " + path + ", is not here", Why: err, Next: anotherApp}
	}
	return err
}

// endedFault says that there is nothing to connect to. The current application is
// forgotten then.
func endedFault(r Report) error {
	f := &Fault{Code: NotFound, What: fmt.Sprintf("%s has ended: %s", r.ID, r.Final), Why: textError(r.Diagnostics), Next: "See yarnd logs " + r.ID}
	if path, ok := remembered(r.ID); ok {
		forget(r.ID)
		f.What = fmt.Sprintf("the current application, which yarnd connect wrote to %s, is no more: %s", path, f.What)
		f.Next = anotherApp + "; see yarnd logs " + r.ID
	}
	return f
}

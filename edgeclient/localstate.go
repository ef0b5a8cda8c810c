package edgeclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// appFile has a localApp. Before its process may begin it is in newAppFile.
const (
	appFile    = "app.json"
	newAppFile = "app.new"
)

// localApp is what is known of an application that was started.
type localApp struct {
	Name  string   `json:"name"`
	Queue string   `json:"queue"`
	Tags  []string `json:"tags,omitempty"`
	PID   int      `json:"pid"`
	Began string   `json:"began"` // of the process, as /proc says: a pid alone is used again
}

// LocalEnd is end.json: what an application master on this machine says last.
type LocalEnd struct {
	Final       string    `json:"finalStatus"`
	Diagnostics string    `json:"diagnostics,omitempty"`
	Finished    time.Time `json:"finished"`
}

// LocalEndFile is the name of that file in the directory that the application
// master's environment names in LocalDirVar.
const (
	LocalEndFile = "end.json"
	LocalDirVar  = "YARND_LOCAL_DIR"
)

// killFile says, before an application is killed, what its end will be, for whoever
// looks between the end of its process and that of Kill.
const killFile = "kill.json"

func (l *localCluster) Report(ctx context.Context, id string) (Report, error) {
	if !IsLocalID(id) {
		return Report{}, usagef("Leave --provider local away", "%q is no application on this machine", id)
	}
	var app localApp
	err := readJSON(l.dir(id, appFile), &app)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, &Fault{Code: NotFound, What: fmt.Sprintf("there is no application %s on this machine", id), Next: "See yarnd --provider local list --all"}
	}
	if err != nil {
		return Report{}, &Fault{Code: Internal, What: "cannot read what is known of " + id, Why: err}
	}
	ms, _ := strconv.ParseInt(strings.Split(id, "_")[1], 10, 64)
	r := Report{ID: id, Name: app.Name, User: l.user, Queue: app.Queue, Tags: app.Tags, Started: time.UnixMilli(ms).UTC(), State: StateAccepted, Attempt: "1"}
	began, alive := processBegan(app.PID)
	alive = alive && began == app.Began
	var end LocalEnd
	switch err := readJSON(l.dir(id, LocalEndFile), &end); {
	case err == nil:
		r.State, r.Final, r.Diagnostics, r.Finished = stateOf(end.Final), end.Final, end.Diagnostics, end.Finished
		return r, nil
	case !alive && readJSON(l.dir(id, killFile), &end) == nil:
		r.State, r.Final, r.Diagnostics, r.Finished = stateOf(end.Final), end.Final, end.Diagnostics, end.Finished
		return r, nil
	case !alive:
		r.State, r.Final = StateFailed, "FAILED"
		r.Diagnostics = "the application master died; see its log"
		if info, err := os.Stat(l.dir(id, "logs", "am", "stderr")); err == nil {
			r.Finished = info.ModTime().UTC()
		}
		return r, nil
	}
	text, err := hdfs.ReadFile(ctx, l.fs, filepath.Join(stagingRoot, id, spec.AddressFile), 1<<20)
	if err != nil { // not there yet
		return r, nil
	}
	address, err := spec.DecodeAddress(text)
	if err != nil {
		return r, &Fault{Code: Mismatch, What: "cannot read the address of " + id, Why: err, Next: "Use the yarnd that submitted it"}
	}
	if len(address.AM) > 0 {
		r.State, r.Endpoint, r.TrackingURL = StateRunning, address.AM[0], address.Web
	}
	return r, nil
}

func stateOf(final string) State {
	switch final {
	case "SUCCEEDED":
		return StateFinished
	case "KILLED":
		return StateKilled
	}
	return StateFailed
}

func (l *localCluster) List(ctx context.Context, f Filter) ([]Report, error) {
	entries, err := os.ReadDir(l.root)
	if err != nil {
		return nil, wrap(Internal, "cannot list applications", err, "")
	}
	var out []Report
	for _, e := range entries {
		if !IsLocalID(e.Name()) {
			continue
		}
		r, err := l.Report(ctx, e.Name())
		if CodeOf(err) == NotFound { // reserved, not submitted
			continue
		}
		if err != nil {
			return nil, err
		}
		if (f.All || !r.State.Ended()) && (f.Name == "" || f.Name == r.Name) && (f.User == "" || f.User == r.User) && (f.Queue == "" || f.Queue == r.Queue) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, newestFirst)
	return out, nil
}

// WriteLocalEnd removes the working directories of an application on this machine and
// records how it ended; its application master's process calls it last, when none of
// its containers runs any more. Elsewhere, without LocalDirVar, it does nothing.
func WriteLocalEnd(end LocalEnd) error {
	dir := os.Getenv(LocalDirVar)
	if dir == "" {
		return nil
	}
	// Before anybody hears of the end.
	return errors.Join(clearWork(dir), writeEnd(filepath.Join(dir, LocalEndFile), end))
}

func writeEnd(file string, end LocalEnd) error {
	text, err := json.Marshal(end)
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, text, 0o600)
}

// clearWork removes what an application on this machine needs only while it runs, as
// a NodeManager does.
func clearWork(dir string) error {
	var errs []error
	for _, name := range []string{"am", "containers", "filecache"} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// prune forgets the oldest ended applications, clears up behind others whose
// application master could not, and gives ids back whose submitters died.
func (l *localCluster) prune() {
	l.dropReserved()
	list, err := l.List(context.Background(), Filter{All: true})
	if err != nil {
		return
	}
	ended := slices.DeleteFunc(list, func(r Report) bool { return !r.State.Ended() })
	for i, r := range ended {
		remove := clearWork
		if i >= keepLocal {
			remove = os.RemoveAll
		}
		if err := remove(l.dir(r.ID)); err != nil {
			l.opts.Log.Debug("cannot clear up after an application", "app", r.ID, "err", err)
		}
	}
}

// dropReserved removes what was reserved for applications that were never started.
func (l *localCluster) dropReserved() {
	entries, err := os.ReadDir(l.root)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !IsLocalID(e.Name()) || time.Since(info.ModTime()) < abandoned {
			continue
		}
		if _, err := os.Stat(l.dir(e.Name(), appFile)); errors.Is(err, fs.ErrNotExist) {
			l.opts.Log.Debug("giving an id back", "app", e.Name(), "err", os.RemoveAll(l.dir(e.Name())))
		}
	}
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// processBegan says when a process began, in the kernel's own words, and whether
// it is alive; one that has ended and waits for its parent is not.
func processBegan(pid int) (began string, alive bool) {
	if runtime.GOOS != "linux" {
		return "", syscall.Kill(pid, 0) == nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// The second field is the name, in parentheses, and may hold anything.
	_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(after)
	const state, startTime = 0, 19
	if len(fields) <= startTime || fields[state] == "Z" || fields[state] == "X" {
		return "", false
	}
	return fields[startTime], true
}

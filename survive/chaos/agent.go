package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// agentVar in its environment makes this program an agent: it runs on a node of the cluster, looks into /proc there,
// and kills. It is told what to do by lines of JSON on its standard input, and answers with others, in any order.
const agentVar = "YARND_CHAOS_AGENT"

// order is one line to an agent.
type order struct {
	N   int    // the answer has the same
	Do  string // "boxes", "signal", "first", "left" or "forget"
	App string
	Box string // "signal": whose process

	Signal  int
	Old     []string      // "first": masters that are there already
	Phase   string        // "first": "staging", or "registering"
	Pause   time.Duration // "first": and so much later
	Forgets int           // "forget": the order that need not be done any more
}

// answer is one line of an agent.
type answer struct {
	N         int
	Err       string   `json:",omitempty"`
	Boxes     []box    `json:",omitempty"` // without their nodes
	Hit       bool     `json:",omitempty"`
	Box       string   `json:",omitempty"` // who was hit
	Phase     string   `json:",omitempty"` // in which that was
	Processes int      `json:",omitempty"`
	Files     []string `json:",omitempty"` // "left": directories
}

// agentMain is an agent's process. It ends with its standard input.
func agentMain(ctx context.Context) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	out, forgets := json.NewEncoder(os.Stdout), map[int]context.CancelFunc{}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			fmt.Fprintln(os.Stderr, "an agent does not understand:", err)
			return 1
		}
		one, forget := context.WithCancel(ctx)
		mu.Lock()
		if o.Do == "forget" && forgets[o.Forgets] != nil {
			forgets[o.Forgets]()
		}
		forgets[o.N] = forget
		mu.Unlock()
		go func() {
			a := obey(one, o)
			a.N = o.N
			mu.Lock()
			defer mu.Unlock()
			forget()
			delete(forgets, o.N)
			out.Encode(a) //nolint:errcheck // who does not hear ends us
		}()
	}
	return 0
}

func obey(ctx context.Context, o order) (a answer) {
	switch o.Do {
	case "boxes":
		for _, p := range rolesOf(o.App) {
			a.Boxes = append(a.Boxes, box{ID: p.box, Master: p.role == "appmaster"})
		}
	case "signal":
		for _, p := range rolesOf(appOf(o.Box)) {
			if p.box == o.Box {
				a.Hit = p.kill(syscall.Signal(o.Signal)) || a.Hit
			}
		}
	case "first":
		a = killFirst(ctx, o)
	case "left":
		a.Processes, a.Files = len(belonging(cmp.Or(o.App, "application_"))), directories(o.App)
	case "forget":
	default:
		a.Err = fmt.Sprintf("an agent knows no %q", o.Do)
	}
	return a
}

// role is a process of ours in a container.
type role struct {
	pid       int
	box, role string
}

var (
	ofContainer = regexp.MustCompile(`container_(?:e\d+_)?(\d+)_(\d+)_\d+_\d+`)
	ourRoles    = []string{"appmaster", "scheduler", "worker", "driver"}
)

// appOf is the application of a container.
func appOf(id string) string {
	m := ofContainer.FindStringSubmatch(id)
	if m == nil {
		return ""
	}
	return "application_" + m[1] + "_" + m[2]
}

// rolesOf are the processes of an application that live, one for each container: shells around them and children are none.
func rolesOf(app string) (all []role) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		text, err := os.ReadFile(dir + "/cmdline")
		words := strings.Split(string(text), "\x00")
		if err != nil || len(words) < 2 || !slices.Contains(ourRoles, words[1]) || filepath.Base(words[0]) != "yarnd" {
			continue
		}
		cwd, err := os.Readlink(dir + "/cwd")
		id := ofContainer.FindString(cwd)
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if err == nil && id != "" && strings.Contains(cwd, app) && lives(pid) {
			all = append(all, role{pid, id, words[1]})
		}
	}
	return all
}

// lives tells whether a process is there and has not ended.
func lives(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, found := strings.Cut(string(text), ") ")
	return err == nil && found && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// kill signals the process, and tells whether it lived.
func (r role) kill(s syscall.Signal) bool { return lives(r.pid) && syscall.Kill(r.pid, s) == nil }

// belonging are processes that run in an application's directories, or have its id in their environment.
func belonging(app string) (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		cwd, _ := os.Readlink(dir + "/cwd")
		env, _ := os.ReadFile(dir + "/environ")
		if pid != os.Getpid() && (strings.Contains(cwd, app) || strings.Contains(string(env), app)) && lives(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// localDirs are where nodes have their containers' directories.
var localDirs = []string{"/data/yarn/local", layout.SmallDisk + "/local"}

// directories are those of an application on this node, or of all with "".
func directories(app string) (all []string) {
	for _, dir := range localDirs {
		found, _ := filepath.Glob(filepath.Join(dir, "usercache", "*", "appcache", cmp.Or(app, "*")))
		all = append(all, found...)
	}
	return all
}

// killFirst waits for a master that is none of the old ones, and kills it: as soon as its process is there, or when it
// has a connection to the ResourceManager, where it is about to register.
func killFirst(ctx context.Context, o order) (a answer) {
	for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
		all := rolesOf(o.App)
		i := slices.IndexFunc(all, func(r role) bool { return r.role == "appmaster" && !slices.Contains(o.Old, r.box) })
		if i < 0 {
			continue
		}
		master := all[i]
		for o.Phase == "registering" && ctx.Err() == nil && lives(master.pid) && !speaksToRM(master.pid) {
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(o.Pause)
		spoke := speaksToRM(master.pid)
		a.Box, a.Hit = master.box, master.kill(syscall.SIGKILL)
		switch {
		case hasRegistered(o.App, master.box):
			a.Phase = "running"
		case spoke:
			a.Phase = "registering"
		default:
			a.Phase = "staging"
		}
		return a
	}
	a.Err = "nobody waits for it any more"
	return a
}

// schedulerPort is that of the ResourceManager for application masters, as /proc/net/tcp writes it.
const schedulerPort = 8030

// speaksToRM tells whether a process has a connection to the ResourceManager, or is making one.
func speaksToRM(pid int) bool {
	port := fmt.Sprintf(":%04X", schedulerPort)
	mine := map[string]bool{}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:[") {
			mine[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[2], port) && mine[f[9]] {
				return true
			}
		}
	}
	return false
}

// hasRegistered tells whether a master's log says that the ResourceManager has it.
func hasRegistered(app, id string) bool {
	logs, _ := filepath.Glob(filepath.Join("/data/yarn/logs", app, id, "stderr"))
	for _, log := range logs {
		text, _ := os.ReadFile(log)
		if strings.Contains(string(text), "msg=registered") {
			return true
		}
	}
	return false
}

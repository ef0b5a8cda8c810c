package survive

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/survive/canary"
)

// mark is a secret that was told to everybody: who looks for secrets must find it in each place.
const mark = "a-secret-that-was-told-to-all"

// No secret of an application can be seen where others look: in environments and command lines, in logs while it runs and when it
// has ended, on the page, in files that others may read. What is seen there is the mark. For Kerberos' secrets, which this cluster
// has not, see TestSecureSecrets in dockertest/e2e.
func TestSecurityOfSecrets(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	a := w.submit(telling(t))
	a.works()
	l := &looker{T: t, looked: map[string]int{}, marks: map[string]int{}}
	a.secrets(&l.secrets)
	l.secrets.Add("mark", []byte(mark))
	c := a.connect()
	engine.Command([]string{"sleep", "600"}).Submit(a.withTime(), c.Client, "")
	a.await("a command runs", func() bool {
		return slices.ContainsFunc(a.processes(), func(p string) bool { return strings.HasPrefix(a.proc(p, "cmdline"), "sleep\x00600") })
	})
	if err := os.WriteFile(filepath.Join(a.Home(a.edge.User()), "told"), []byte(mark), 0o644); err != nil { // #nosec G306 -- others are to read it
		t.Fatal(err)
	}
	a.lookAtProcesses(l)
	a.lookAtPage(l)
	a.lookAtFiles(l)
	if err := c.Session().Stop(t.Context(), edgeclient.FinalSucceeded, "looked at"); err != nil {
		t.Fatal(err)
	}
	a.lookAtLogs(l, a.final())
	for _, kind := range []string{"environment", "command line", "page", "log", "file", "aggregated log"} {
		if l.marks[kind] == 0 {
			t.Errorf("%s: looked into %d, and the mark, which is there, was not found", kind, l.looked[kind])
		}
	}
	t.Logf("%d secrets, looked for in %v; the mark was seen in %v", len(l.secrets.Names())-1, l.looked, l.marks)
}

// telling is a request for an application that has the mark in every place where others look.
func telling(t *testing.T) edgeclient.Request {
	t.Helper()
	driver := filepath.Join(t.TempDir(), "telling")
	if err := os.WriteFile(driver, []byte("#!/bin/sh\necho \"$1\"\necho \"$1\" >&2\nsleep 600\n"), 0o700); err != nil { // #nosec G306 -- it is run
		t.Fatal(err)
	}
	r := small(2)
	r.Name, r.EnvVars, r.Driver, r.DriverArgs, r.DriverSize = mark, map[string]string{"TOLD": mark}, driver, []string{mark}, r.Worker
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, 2
	return r
}

// looker looks for secrets, and counts by the kind of place.
type looker struct {
	*testing.T
	secrets       canary.Set
	looked, marks map[string]int
}

func (l *looker) look(kind, where string, text []byte) {
	l.looked[kind]++
	marked := false
	for _, found := range l.secrets.In(text) {
		if strings.HasPrefix(found, "mark ") {
			marked = true
		} else {
			l.Errorf("%s: in %s is %s", kind, where, found)
		}
	}
	if marked {
		l.marks[kind]++
	}
}

// proc is a file of a process, as processes tells of it; "" when it is gone.
func (a *app) proc(process, file string) string {
	dir, _, _ := strings.Cut(process, " ")
	text, _ := os.ReadFile(filepath.Join(dir, file))
	return string(text)
}

func (a *app) lookAtProcesses(l *looker) {
	for _, p := range a.processes() {
		l.look("environment", p, []byte(a.proc(p, "environ")))
		l.look("command line", p, []byte(a.proc(p, "cmdline")))
	}
}

func (a *app) lookAtPage(l *looker) {
	for _, s := range a.listeners() {
		if s.role != "appmaster" || !isPage(s.address) {
			continue
		}
		for _, path := range []string{"/", "/healthz", "/jobs", "/conf", "/../", "/debug/pprof/cmdline", "/?all"} {
			resp, err := http.Get("http://" + s.address + path)
			if err != nil {
				l.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				l.Fatal(err)
			}
			l.look("page", path, text)
		}
	}
}

// lookAtFiles looks into what the cluster's directories have, local files of the nodes as well as those that stand for HDFS's.
func (a *app) lookAtFiles(l *looker) {
	a.walk(func(path string, info fs.FileInfo, text []byte) {
		inLogs := strings.Contains(path, "/logs/") || strings.HasSuffix(path, "stderr") || strings.HasSuffix(path, "stdout")
		launch := strings.HasSuffix(path, ".sh")
		if inLogs || launch || info.Mode().Perm()&0o077 != 0 {
			l.look(map[bool]string{true: "log", false: "file"}[inLogs], path, text)
		}
	})
}

// lookAtLogs looks into the logs of an application that has ended.
func (a *app) lookAtLogs(l *looker, r edgeclient.Report) {
	a.Helper()
	from := map[string]bool{}
	a.await("the logs of four containers were collected", func() bool { // one is the driver's
		clear(from)
		err := a.edge.Logs(a.Context(), r, edgeclient.LogRequest{All: true}, func(f edgeclient.LogFile) error {
			text, err := io.ReadAll(f.Content)
			if err == nil && len(text) > 0 {
				from[f.Container] = true
				l.look("aggregated log", f.Container+" "+f.Name, text)
			}
			return err
		})
		return err == nil && len(from) >= 4
	})
}

// secrets are the application's.
func (a *app) secrets(s *canary.Set) {
	a.Helper()
	seed, err := os.ReadFile(filepath.Join(a.staging(), spec.SeedFile))
	if err != nil {
		a.Fatal(err)
	}
	raw, err := hex.DecodeString(string(bytes.TrimSpace(seed)))
	if err != nil {
		a.Fatal(err)
	}
	s.Add("seed", raw)
	credential, err := os.ReadFile(filepath.Join(a.staging(), spec.ClientFile))
	if err != nil {
		a.Fatal(err)
	}
	block, _ := pem.Decode(credential[max(0, bytes.Index(credential, []byte("-----BEGIN PRIVATE KEY-----"))):])
	if block == nil || block.Type != "PRIVATE KEY" {
		a.Fatal("no key in the owner's credential")
	}
	s.Add("owner's key", block.Bytes)
	n := 0
	a.walk(func(path string, _ fs.FileInfo, text []byte) {
		if filepath.Base(path) != "container_tokens" {
			return
		}
		creds, err := token.Parse(text)
		if err != nil {
			a.Fatal(err)
		}
		n++
		s.Credentials(path, creds)
	})
	if n < 5 {
		a.Fatalf("%d files of credentials", n)
	}
}

// walk yields the files that the cluster has of the application, links followed.
func (a *app) walk(f func(path string, info fs.FileInfo, text []byte)) {
	a.Helper()
	err := filepath.WalkDir(a.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it may be gone by now
		}
		info, err := os.Stat(path)
		const most = 4 << 20 // the program is larger, and the same for all
		if err != nil || !info.Mode().IsRegular() || info.Size() > most {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			f(path, info, text)
		}
		return nil
	})
	if err != nil {
		a.Fatal(err)
	}
}

// Of no process of an application, and of nothing that it runs, does the kernel keep an image when it crashes, though it may; but a
// command may want one.
func TestSecurityOfCores(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: was.Max, Max: was.Max}); err != nil { // what nodes inherit
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_CORE, &was) })
	a := secured(t)
	c := a.connect()
	ctx := a.withTime()
	if _, err := exec.LookPath("python3"); err == nil {
		limit, err := engine.Python[int, []int64]("resource:getrlimit").Call(ctx, c.Client, syscall.RLIMIT_CORE)
		if err != nil || len(limit) != 2 || limit[0] != 0 && limit[0] != 1 {
			t.Errorf("a Python function may leave images of %v bytes: %v", limit, err)
		}
	}
	limits := regexp.MustCompile(`(?m)^Max core file size +(\S+)`)
	seen := 0
	for _, p := range a.processes() {
		text := a.proc(p, "limits")
		if text == "" || strings.HasPrefix(a.proc(p, "cmdline"), "/bin/bash\x00-c\x00./yarnd") {
			continue // it is gone, or YARN's shell, which waits for the role and knows nothing
		}
		seen++
		if m := limits.FindStringSubmatch(text); m == nil || m[1] != "0" && m[1] != "1" {
			t.Errorf("%s, %q, may leave images of %v bytes", p, a.proc(p, "cmdline"), m)
		}
	}
	if seen < 4 {
		t.Errorf("%d processes", seen)
	}
	images := func(script string) []string {
		out, err := engine.Command([]string{"sh", "-c", script + `; ls | grep -E '^core(\.[0-9]+)?$'; rm -f core core.[0-9]*`}).Call(ctx, c.Client, "")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out.Stdout))
	}
	if left := images(`sh -c 'kill -ABRT $$'`); len(left) > 0 {
		t.Errorf("a command that crashed left %v", left)
	}
	if left := images(`ulimit -c unlimited && sh -c 'kill -ABRT $$'`); len(left) == 0 {
		t.Logf("a command that wants an image of itself gets none in its directory: this machine has them elsewhere, or none")
	}
	a.works()
}

package survive

import (
	"context"
	"flag"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/survive/wires"
)

var floodSize = flag.Int("flood", 10_000, "connections that say nothing, at the same time, for each port in TestSecurityOfFloods")

const (
	floodMemory = 64 << 20         // bytes that a process may take more
	floodWait   = 10 * time.Second // for a client that comes meanwhile
)

// floodPlaces is how many connections each listener holds whose other side has not said who it is.
var floodPlaces = map[string]int{"appmaster": 2048, "appmaster's page": 512, "scheduler": 1024, "worker": 2048}

// Ten thousand connections that say nothing, at the same time, on each port in turn, keep nobody from coming and working, and take
// little memory. When they are gone nothing of them is left.
func TestSecurityOfFloods(t *testing.T) {
	if runsApart(t) {
		return
	}
	mayOpen(t, *floodSize+1000)
	a := secured(t)
	a.worksThroughAll(a.withTime())
	memory, sockets := a.memory(), a.sockets()
	seen := map[string]bool{}
	for _, l := range a.listeners() {
		name := l.role
		if l.role == "appmaster" && isPage(l.address) {
			name += "'s page"
		}
		seen[name] = true
		a.withstands(l, name, memory, sockets)
	}
	if len(seen) != len(floodPlaces) {
		t.Errorf("flooded were %v", slices.Sorted(maps.Keys(seen)))
	}
}

// runsApart runs the test as a process in a network of its own, so that this machine's has nothing to do with so many connections,
// where that is allowed; false: it is that process, or it is not allowed.
func runsApart(t *testing.T) bool {
	t.Helper()
	const apart = "YARND_TEST_APART"
	if os.Getenv(apart) != "" {
		if err := wires.Loopback(); err != nil {
			t.Fatal(err)
		}
		return false
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-flood="+strconv.Itoa(*floodSize))
	cmd.Env = append(os.Environ(), apart+"=1", programEnv+"="+program)
	wires.Private(cmd)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Logf("not in a network of its own: %v", err)
		return false
	}
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network of its own: %v", err)
	}
	return true
}

// mayOpen has this process open so many files.
func mayOpen(t *testing.T, n int) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur, l.Max = max(l.Cur, uint64(n)), max(l.Max, uint64(n))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatalf("this process cannot open %d files: %v; say ulimit -n %d before, or -flood with less", n, err, n)
	}
}

// withstands floods a port, and has a client come and work meanwhile.
func (a *app) withstands(l listener, name string, memory map[string]int64, quiet map[string]int) {
	a.Helper()
	f := startFlood(a.Context(), l.address, *floodSize)
	defer f.stop()
	process := l.role + " " + filepath.Base(l.process)
	most, held := memory[process], 0
	look := func() {
		most, held = max(most, a.memory()[process]), max(held, a.sockets()[process]-quiet[process])
	}
	start := time.Now()
	a.await("all came", func() bool { look(); return f.came.Load() >= int64(*floodSize) })
	came := time.Since(start)
	start = time.Now()
	ctx, cancel := context.WithTimeout(a.Context(), floodWait)
	defer cancel()
	if strings.HasSuffix(name, "page") {
		a.getsPage(ctx, l.address)
	}
	a.worksThroughAll(ctx)
	took := time.Since(start)
	if took > floodWait {
		a.Errorf("%s: a client was served within %v", name, took)
	}
	look()
	f.stop()
	places := min(floodPlaces[name], *floodSize)
	if held > places+50 || held < places*9/10 { // a few are a client's, and those that are being closed
		a.Errorf("%s holds %d connections that have said nothing, of %d that came, and has %d places", name, held, f.dialed.Load(), places)
	}
	if more := most - memory[process]; more > floodMemory {
		a.Errorf("%s takes %d MiB more", name, more>>20)
	}
	if f.failed.Load() > 0 {
		a.Errorf("%s: %d connections could not be made", name, f.failed.Load())
	}
	a.await("nothing of them is left", func() bool { return a.sockets()[process] <= quiet[process]+10 })
	a.Logf("%s at %s: %d came within %v, %d in all; held %d; resident %d MiB before, %d MiB at most; a client was served within %v",
		name, l.address, *floodSize, came.Round(time.Millisecond), f.dialed.Load(), held, memory[process]>>20, most>>20, took.Round(time.Millisecond))
}

// worksThroughAll comes as a new client and has something done that takes every port of an application but its page.
func (a *app) worksThroughAll(ctx context.Context) {
	a.Helper()
	c := a.connect()
	defer c.Close()
	const size = 100_000 // it comes from the worker, not by the scheduler
	script := "sleep 0.2; head -c " + strconv.Itoa(size) + " /dev/zero"
	out, err := engine.Command([]string{"sh", "-c", script}).Map(ctx, c.Client, slices.Values([]string{"", "", "", ""})).Gather(ctx) // both workers have some
	if err != nil || len(out) != 4 || len(out[3].Stdout) != size {
		a.Fatalf("a client was not served: %d results, %v", len(out), err)
	}
}

func (a *app) getsPage(ctx context.Context, address string) {
	a.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		a.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		a.Fatalf("the page: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		a.Errorf("the page: %s", resp.Status)
	}
}

// flood is many connections to an address, from two hundred others, that say nothing. Those that are closed come again, not all at
// once.
type flood struct {
	came   atomic.Int64 // of the first round
	dialed atomic.Int64
	failed atomic.Int64
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func startFlood(ctx context.Context, address string, n int) *flood {
	ctx, cancel := context.WithCancel(ctx)
	f := &flood{cancel: cancel}
	const dialers, again = 8, 125 // each dials so many again in a second
	for part := range dialers {
		f.wg.Go(func() { f.keep(ctx, address, part, (n+dialers-1)/dialers, again) })
	}
	return f
}

// stop closes all. It can be called twice.
func (f *flood) stop() {
	f.cancel()
	f.wg.Wait()
}

func (f *flood) keep(ctx context.Context, address string, part, n, again int) {
	conns := make([]*net.TCPConn, n)
	shut := func(i int) {
		if conns[i] != nil {
			conns[i].SetLinger(0) // leaves nothing in the kernel's tables
			conns[i].Close()
			conns[i] = nil
		}
	}
	defer func() {
		for i := range conns {
			shut(i)
		}
	}()
	dial := func(i int) {
		d := net.Dialer{Timeout: floodWait, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(10+part), byte(1+i%25))}}
		f.dialed.Add(1)
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			conns[i] = c.(*net.TCPConn)
		} else if ctx.Err() == nil {
			f.failed.Add(1)
		}
	}
	for i := range conns {
		dial(i)
		f.came.Add(1)
	}
	for ctx.Err() == nil {
		left := again
		for i, c := range conns {
			if left > 0 && (c == nil || isClosed(c)) {
				left--
				shut(i)
				dial(i)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// isClosed tells whether the other side has closed a connection on which it says nothing.
func isClosed(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	closed := true
	raw.Control(func(fd uintptr) { //nolint:errcheck // then it is closed
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = err != syscall.EAGAIN
	})
	return closed
}

// roles are the processes of the application's roles, by what they are called here, "worker 1234".
func (a *app) roles() map[string]string {
	out := map[string]string{}
	for _, p := range a.processes() {
		words := strings.Split(a.proc(p, "cmdline"), "\x00")
		if len(words) > 1 && filepath.Base(words[0]) == "yarnd" && words[1] != "executor" {
			dir, _, _ := strings.Cut(p, " ")
			out[words[1]+" "+filepath.Base(dir)] = dir
		}
	}
	return out
}

// sockets is how many files each process of the application has open.
func (a *app) sockets() map[string]int {
	out := map[string]int{}
	for name, dir := range a.roles() {
		fds, _ := os.ReadDir(filepath.Join(dir, "fd"))
		out[name] = len(fds)
	}
	return out
}

// memory is what each process of the application has resident, in bytes.
func (a *app) memory() map[string]int64 {
	out := map[string]int64{}
	for name, dir := range a.roles() {
		if f := strings.Fields(a.proc(dir, "statm")); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			out[name] = pages * int64(os.Getpagesize())
		}
	}
	return out
}

package survive

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/identity"
)

// listener is a TCP port on which a process of an application listens.
type listener struct {
	role    string // appmaster, scheduler, worker, executor
	address string
	process string // its directory in /proc
}

// listeners are those of all processes of the application, as the kernel knows them.
func (a *app) listeners() (all []listener) {
	a.Helper()
	ports := map[string]string{} // address by inode
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(text), "\n")[1:] {
			f := strings.Fields(line)
			const listens = "0A"
			if len(f) < 10 || f[3] != listens {
				continue
			}
			_, port, _ := strings.Cut(f[1], ":")
			n, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				a.Fatal(err)
			}
			ports["socket:["+f[9]+"]"] = fmt.Sprintf("127.0.0.1:%d", n)
		}
	}
	for _, p := range a.processes() {
		dir, _, _ := strings.Cut(p, " ")
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		words := strings.Split(string(command), "\x00")
		open, _ := filepath.Glob(filepath.Join(dir, "fd", "*"))
		for _, fd := range open {
			if target, _ := os.Readlink(fd); ports[target] != "" && len(words) > 1 {
				all = append(all, listener{words[1], ports[target], dir})
			}
		}
	}
	return all
}

// authority is the application's own, and one that calls itself the same.
func (a *app) authorities() (own, foreign *identity.CA) {
	a.Helper()
	text, err := os.ReadFile(filepath.Join(a.staging(), spec.SeedFile))
	if err != nil {
		a.Fatal(err)
	}
	seed, err := identity.ParseSeed(text)
	if err != nil {
		a.Fatal(err)
	}
	if own, err = identity.NewCA(seed, a.id); err != nil {
		a.Fatal(err)
	}
	if foreign, err = identity.NewCA(identity.NewSeed(), a.id); err != nil {
		a.Fatal(err)
	}
	return own, foreign
}

func (a *app) staging() string { return filepath.Join(a.Home(a.edge.User()), ".yarnd", a.id) }

// secured starts an application, and has it work for a moment, so that all is there that there will be.
func secured(t *testing.T) *app {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	r := small(2)
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, 2
	a := w.submit(r)
	a.works()
	return a
}

// works runs something on the application.
func (a *app) works() {
	a.Helper()
	c := a.connect()
	defer c.Close()
	ctx := a.withTime()
	out, err := engine.Command([]string{"echo", "{}"}).Map(ctx, c.Client, slices.Values([]string{"a", "b", "c"})).Gather(ctx)
	if err != nil || len(out) != 3 {
		a.Fatalf("%d results, %v", len(out), err)
	}
}

// On every port of an application nobody gets a byte who is not of it, has a certificate that has ended, or one of a role that
// has no business there. The page of the application master is for the web proxy alone.
func TestSecurityOfListeners(t *testing.T) {
	a := secured(t)
	all := a.listeners()
	count := map[string]int{}
	for _, l := range all {
		count[l.role]++
	}
	if want := map[string]int{"appmaster": 2, "scheduler": 1, "worker": 2}; !maps.Equal(count, want) {
		t.Fatalf("listening: %v, want %v: %v", count, want, all)
	}
	own, foreign := a.authorities()
	// Who may speak what with whom. What is not here nobody may; joining and claiming, which are for who has no
	// certificate yet, have tests of their own in package appmaster.
	welcome := map[string]map[string][]identity.Role{
		"appmaster": {"h2": {identity.Client, identity.Operator, identity.Viewer, identity.Scheduler, identity.Worker}},
		"scheduler": {wire.Protocol: {identity.Client, identity.Worker}, transfer.Protocol: {identity.Client, identity.Worker}},
		"worker":    {transfer.Protocol: {identity.Client, identity.Scheduler, identity.Worker}},
	}
	pages, tries := 0, 0
	for _, l := range all {
		if l.role == "appmaster" && isPage(l.address) {
			pages++
			a.pageIsClosed(l)
			continue
		}
		for name, hello := range hellos {
			if answer := speak(t, l.address, hello); len(answer) > 7 || len(answer) > 0 && answer[0] != 21 { // a TLS alert
				t.Errorf("%s at %s answers %s with %q", l.role, l.address, name, answer)
			}
		}
		protocols := []string{"h2", wire.Protocol, transfer.Protocol, "http/1.1"}
		if l.role != "appmaster" {
			protocols = append(protocols, identity.JoinProtocol, identity.ClaimProtocol)
		}
		for _, protocol := range protocols {
			tries += a.tryAll(l, protocol, own, foreign, welcome[l.role][protocol])
		}
	}
	if pages != 1 {
		t.Errorf("%d pages", pages)
	}
	a.works()
	t.Logf("%d listeners, %d handshakes: %v", len(all), tries, all)
}

// tryAll shakes hands as everybody in one protocol, and tells how often.
func (a *app) tryAll(l listener, protocol string, own, foreign *identity.CA, welcome []identity.Role) (tries int) {
	a.Helper()
	try := func(who string, cfg *tls.Config, want bool) {
		a.Helper()
		tries++
		cfg.NextProtos = []string{protocol}
		if taken, err := shake(l.address, cfg, want); taken != want {
			a.Errorf("%s at %s, %s: %s is taken: %v, want %v: %v", l.role, l.address, protocol, who, taken, want, err)
		}
	}
	try("nobody", &tls.Config{InsecureSkipVerify: true}, false)
	for _, role := range []identity.Role{identity.Client, identity.Operator, identity.Viewer, identity.Scheduler, identity.Worker, identity.AppMaster} {
		try("a "+string(role)+" of another authority", a.as(foreign, role, time.Hour), false)
		try("a "+string(role)+" whose certificate has ended", a.as(own, role, time.Nanosecond), false)
		try("a "+string(role), a.as(own, role, time.Hour), slices.Contains(welcome, role))
	}
	return tries
}

var hellos = map[string]string{
	"HTTP":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"gRPC":   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"join":   "YJ\x01\x01c" + strings.Repeat("x", 34),
	"claim":  "YC\x01\x00\x01i" + strings.Repeat("x", 34),
	"frame":  "\x00\x00\x00\x10\x01" + strings.Repeat("y", 15),
	"length": "\xff\xff\xff\x7f",
}

// speak writes in clear and returns what is answered.
func speak(t *testing.T, address, hello string) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, hello) //nolint:errcheck // it may be closed by now
	conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn)
	return answer
}

// as is how somebody with a certificate connects who looks at nobody else's.
func (a *app) as(ca *identity.CA, role identity.Role, ttl time.Duration) *tls.Config {
	a.Helper()
	name := "container_1_0001_01_000002"
	switch role {
	case identity.Client, identity.Operator, identity.Viewer:
		name = a.edge.User()
	case identity.AppMaster:
		name = identity.MasterName(1, name)
	}
	id, err := ca.NewIdentity(identity.Subject{App: a.id, Role: role, Name: name}, ttl)
	if err != nil {
		a.Fatal(err)
	}
	cfg := id.Client(identity.Worker, "")
	cfg.VerifyConnection = nil
	return cfg
}

// shake connects and tells whether the other side takes who we are. With TLS 1.3 it says so after our side is done: by an
// alert or the end of the connection, or by waiting for more; who is expected is not waited for long.
func shake(address string, cfg *tls.Config, expected bool) (taken bool, err error) {
	cfg.MinVersion = tls.VersionTLS13
	conn, err := tls.Dial("tcp", address, cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	wait := 20 * time.Second // more than anybody has until he has said who he is
	if expected {
		wait = 300 * time.Millisecond
	}
	conn.SetReadDeadline(time.Now().Add(wait))
	_, err = conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return err == nil || ok && timeout.Timeout(), err
}

// isPage tells whether a port speaks HTTP in clear.
func isPage(address string) bool {
	resp, err := (&http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get("http://" + address + "/")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.TLS == nil && resp.StatusCode != http.StatusBadRequest // what a TLS server says to who is not
}

// pageIsClosed looks at the page as somebody who is not the web proxy.
func (a *app) pageIsClosed(l listener) {
	a.Helper()
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, "TRACE"} {
		req, err := http.NewRequest(method, "http://"+l.address+"/", strings.NewReader("x"))
		if err != nil {
			a.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if method != http.MethodGet && resp.StatusCode < 300 {
			a.Errorf("the page takes %s: %s", method, resp.Status)
		}
		if bytes.Contains(body, []byte(a.staging())) {
			a.Errorf("the page tells where secrets are: %s", body)
		}
	}
}

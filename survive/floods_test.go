package survive

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var floods = flag.Int("flood", 2500, "connections that say nothing, for each port in TestSecurityOfFloods")

// Thousands of connections that say nothing keep nobody from working, and cost little memory.
func TestSecurityOfFloods(t *testing.T) {
	a := secured(t)
	before := a.memory()
	for _, l := range a.listeners() {
		if l.role != "appmaster" || !isPage(l.address) {
			a.flood(l.address, *floods)
		}
	}
	a.works()
	after := a.memory()
	for process, was := range before {
		if now := after[process]; now-was > 64<<20 {
			t.Errorf("%s grew from %d to %d MiB", process, was>>20, now>>20)
		}
	}
	t.Logf("resident before %v, after %v, in bytes", before, after)
}

// flood opens so many connections to an address, from some hundred addresses, and has the application work while they are
// open. It closes them.
func (a *app) flood(address string, n int) {
	a.Helper()
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	refused := 0
	for i := range n {
		from := net.IPv4(127, 0, byte(1+i%100), byte(1+i/100%250))
		d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: from}}
		conn, err := d.Dial("tcp", address)
		if err != nil {
			refused++
			continue
		}
		conns = append(conns, conn)
		const atOnce = 2000 // what this process may have open
		if len(conns) == atOnce {
			a.works()
			for _, c := range conns {
				c.Close()
			}
			conns = nil
		}
	}
	a.works()
	a.Logf("%s: %d connections, %d refused", address, n, refused)
}

// memory is what each process of the application has resident, in bytes.
func (a *app) memory() map[string]int64 {
	out := map[string]int64{}
	for _, p := range a.processes() {
		dir, _, _ := strings.Cut(p, " ")
		text, _ := os.ReadFile(filepath.Join(dir, "statm"))
		if f := strings.Fields(string(text)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			out[dir] = pages * int64(os.Getpagesize())
		}
	}
	return out
}

package yarntest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// rollcall hears from the processes of containers that they run. A NodeManager says RUNNING of a container that has no process
// yet. It drops signals until there is one ("not running, nothing to signal"), and one that is re-initialized before is lost
// ("marked as inactive"), and is DONE a little later. Both were seen on 3.4.2 with little CPU.
type rollcall struct {
	ln *net.TCPListener
}

func (s *site) rollcall(t *testing.T) *rollcall {
	t.Helper()
	way, err := net.Dial("udp", s.addrs.Client[0]) // nothing is sent: it tells our address towards the cluster
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: way.LocalAddr().(*net.UDPAddr).IP})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &rollcall{ln}
}

// command is one that answers before it becomes what is given.
func (r *rollcall) command(before, exec string) *pb.ContainerLaunchContext {
	host, port, _ := net.SplitHostPort(r.ln.Addr().String())
	return command(before + ": > /dev/tcp/" + host + "/" + port + " && exec " + exec)
}

// heard waits for n processes that have not answered yet.
func (r *rollcall) heard(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(time.Minute)
	}
	if err := r.ln.SetDeadline(end); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c, err := r.ln.Accept()
		if err != nil {
			t.Fatalf("%d of %d processes have said that they run: %v", i, n, err)
		}
		c.Close()
	}
}

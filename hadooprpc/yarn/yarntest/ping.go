package yarntest

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/wire"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// pingCounter counts the pings among what is written.
type pingCounter struct {
	net.Conn
	pings *atomic.Int32
}

func (c pingCounter) Write(b []byte) (int, error) {
	if frame, err := wire.ReadFrame(bytes.NewReader(b), nil, wire.MaxBeforeAuth); err == nil {
		var h pb.RpcRequestHeader
		if _, err := wire.ReadMessage(frame, &h); err == nil && h.GetCallId() == wire.CallPing {
			c.pings.Add(1)
		}
	}
	return c.Conn.Write(b)
}

// The ResourceManager must take our pings for pings: a frame that it cannot read would end the connection.
func testPingsAreTakenForPings(t *testing.T, s *site) {
	ctx := within(t, 30*time.Second)
	var pings, dials atomic.Int32
	raw := ipc.NewClient(s.addrs.Client[0], yarn.ClientProtocol, ipc.Options{
		PingInterval: 100 * time.Microsecond,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return pingCounter{nc, &pings}, err
		},
	})
	defer raw.Close()
	for last := false; !last; {
		last = pings.Load() >= 20 // and one call after them
		if err := raw.Call(ctx, ipc.Method{Name: "getClusterMetrics"}, &pb.GetClusterMetricsRequest{}, &pb.GetClusterMetricsResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	if dials.Load() != 1 {
		t.Errorf("%d connections: pings ended some", dials.Load())
	}
}

package yarn

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// AMClient is an application master's line to the scheduler. Calls are serialized: it may be used by several
// goroutines, but one heartbeat is under way at a time.
type AMClient struct {
	rpc  *ipc.Proxy
	turn chan struct{} // holds one element while a call is under way

	// Owned by whoever holds the turn.
	beat heartbeat
	reg  *pb.RegisterApplicationMasterRequest

	mu    sync.Mutex
	token token.Token
}

// NewAMClient returns a client of the scheduler at o.Addresses. o.IPC.Token must be the attempt's AMRM token, on
// clusters without security, too: see AMRMToken.
func NewAMClient(o Options) *AMClient {
	c := &AMClient{rpc: ipc.NewProxy(o.Addresses, MasterProtocol, o.IPC), turn: make(chan struct{}, 1)}
	if o.IPC.Token != nil {
		c.token = *o.IPC.Token
	}
	return c
}

// Close ends the call in flight. It does not unregister: see Finish. It may be called twice.
func (c *AMClient) Close() error { return c.rpc.Close() }

// Token is the AMRM token in use. It changes when the ResourceManager rolls its keys.
func (c *AMClient) Token() token.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *AMClient) lock(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *AMClient) unlock() { <-c.turn }

// Register announces the application master: the host and port of its own service (port -1 for none), and the
// address of its web page ("" for none). It comes first, and again when IsNotRegistered says so; after it, all asks,
// releases and blacklisted nodes must be sent (again). Registering while registered is refused (IsRegistered). So is
// the repetition of a call whose answer got lost; what was in that answer is lost with it, and heartbeats go on from
// there.
func (c *AMClient) Register(ctx context.Context, host string, port int32, trackingURL string) (*pb.RegisterApplicationMasterResponse, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	c.reg = &pb.RegisterApplicationMasterRequest{Host: proto.String(host), RpcPort: proto.Int32(port), TrackingUrl: proto.String(trackingURL)}
	return c.register(ctx)
}

func (c *AMClient) register(ctx context.Context) (*pb.RegisterApplicationMasterResponse, error) {
	r, err := invoke[*pb.RegisterApplicationMasterResponse](ctx, c.rpc, safe("registerApplicationMaster"), c.reg)
	if err == nil || IsRegistered(err) {
		c.beat.registered()
	}
	return r, err
}

// Allocate is the heartbeat. It fills in the response id. The asks in req are absolute numbers, not additions.
//
// After an error, put the content of req into the next request: it may or may not have been heeded, and repeating it
// does no harm. Responses that got lost on their way are fetched again and merged into the next one. A new AMRM token
// in the response is put to use at once.
//
// IsNotRegistered asks for Register; IsAttemptNotFound means that this attempt is over.
func (c *AMClient) Allocate(ctx context.Context, req *pb.AllocateRequest) (*pb.AllocateResponse, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	if c.beat.lost != nil {
		if err := c.send(ctx, c.beat.lost); err != nil {
			return nil, err
		}
	}
	if err := c.send(ctx, c.beat.stamp(req)); err != nil {
		return nil, err
	}
	return c.beat.deliver(), nil
}

// The response id makes repetitions harmless, so a proxy may repeat the call, although Hadoop marks it @AtMostOnce.
var allocate = safe("allocate")

func (c *AMClient) send(ctx context.Context, req *pb.AllocateRequest) error {
	r, err := invoke[*pb.AllocateResponse](ctx, c.rpc, allocate, req)
	if err != nil {
		if outcomeUnknown(err) {
			c.beat.unknown(req)
		}
		return err
	}
	c.beat.answered(r)
	if r.AmRmToken != nil {
		c.roll(TokenFromPB(r.AmRmToken))
	}
	return nil
}

// roll puts a new token to use. The ResourceManager sends it with every response until we reconnect with it, and takes
// it at once, long before the old one ends. Seen on 3.4.2 with keys that roll every 61 s, across failovers.
func (c *AMClient) roll(t token.Token) {
	c.mu.Lock()
	old := c.token
	if t.Service == "" {
		t.Service = old.Service
	}
	c.token = t
	c.mu.Unlock()
	if !bytes.Equal(old.Identifier, t.Identifier) || !bytes.Equal(old.Password, t.Password) {
		c.rpc.SetToken(t)
	}
}

// outcomeUnknown tells that the server may have executed the call.
func outcomeUnknown(err error) bool {
	var (
		lost   *ipc.UnreachableError
		remote *ipc.RemoteError
	)
	if errors.As(err, &lost) { // a standby's word may be inside, but an attempt before it counts
		return lost.Sent
	}
	return !errors.As(err, &remote) && !ipc.NotSent(err)
}

// Finish unregisters the application master with the application's final status, and repeats that until the
// ResourceManager has stored it. The diagnostics and tracking URL ("" for none) appear in the application's report
// from then on.
func (c *AMClient) Finish(ctx context.Context, status pb.FinalApplicationStatus, diagnostics, trackingURL string) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	req := &pb.FinishApplicationMasterRequest{
		Diagnostics: proto.String(diagnostics), TrackingUrl: proto.String(trackingURL), FinalApplicationStatus: status.Enum(),
	}
	heard := false // the ResourceManager has taken note
	return poll(ctx, func() (bool, error) {
		r, err := invoke[*pb.FinishApplicationMasterResponse](ctx, c.rpc, safe("finishApplicationMaster"), req)
		switch {
		case IsNotRegistered(err) && c.reg != nil:
			// It restarted. Register, then finish. Source: AMRMClientImpl.unregisterApplicationMaster.
			if _, err = c.register(ctx); IsRegistered(err) {
				err = nil
			}
			return false, err
		case IsAttemptNotFound(err) && heard:
			return true, nil // it has finished with us already
		case err != nil:
			return false, err
		}
		heard = true
		return r.GetIsUnregistered(), nil
	})
}

// AMRMToken finds an attempt's token among its credentials, by its kind: its service is empty, also where it comes with
// the report of an unmanaged application (seen on 3.4.2).
func AMRMToken(c *token.Credentials) (token.Token, bool) {
	return c.Select(token.KindAMRM)
}

package yarn

import (
	"cmp"
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// NMClient talks to NodeManagers: one connection per node, made when needed, closed when idle. Every call takes the
// NMToken of its node, which the scheduler hands out with the first container there; a newer token replaces the
// connection. It is safe for concurrent use.
type NMClient struct {
	opts ipc.Options

	mu     sync.Mutex
	nodes  map[NodeID]*nodeConn
	closed bool
}

type nodeConn struct {
	rpc   *ipc.Proxy
	token token.Token
}

// nodeIdle is how long a connection to a node is kept without calls, unless the options say so. An order to a node is a
// few calls, and hundreds of nodes have one each.
const nodeIdle = 5 * time.Second

// NewNMClient returns a client for all nodes. The token in o is ignored.
func NewNMClient(o ipc.Options) *NMClient {
	o.IdleTimeout = cmp.Or(o.IdleTimeout, nodeIdle)
	return &NMClient{opts: o, nodes: make(map[NodeID]*nodeConn)}
}

// Close ends all calls in flight. It may be called twice.
func (c *NMClient) Close() error {
	c.mu.Lock()
	c.closed = true
	nodes := c.nodes
	c.nodes = nil
	c.mu.Unlock()
	for _, n := range nodes {
		n.rpc.Close()
	}
	return nil
}

// Forget drops what is kept about a node, and ends calls in flight to it.
func (c *NMClient) Forget(node NodeID) {
	c.mu.Lock()
	n := c.nodes[node]
	delete(c.nodes, node)
	c.mu.Unlock()
	if n != nil {
		n.rpc.Close()
	}
}

// at returns the line to a node.
func (c *NMClient) at(node NodeID, tok token.Token) (caller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ipc.ErrClosed
	}
	n := c.nodes[node]
	switch {
	case n == nil:
		o := c.opts
		o.Token = &tok
		n = &nodeConn{rpc: ipc.NewProxy([]string{node.String()}, ContainerProtocol, o), token: tok}
		c.nodes[node] = n
	case !n.token.Equal(tok):
		n.token = tok
		n.rpc.SetToken(tok)
	}
	return n.rpc, nil
}

// atNode calls m on a node.
func atNode[PResp interface {
	*Resp
	proto.Message
}, Resp any](ctx context.Context, c *NMClient, node NodeID, tok token.Token, m ipc.Method, req proto.Message) (PResp, error) {
	rpc, err := c.at(node, tok)
	if err != nil {
		return nil, err
	}
	return invoke[PResp](ctx, rpc, m, req)
}

// ContainerResults tells, container by container, what became of a call that as a whole succeeded.
type ContainerResults struct {
	Succeeded []ContainerID
	// Failed holds a *ContainerError for each container that was refused.
	Failed map[ContainerID]error
}

func results(ok []*pb.ContainerId, failed []*pb.ContainerExceptionMap) *ContainerResults {
	out := &ContainerResults{Failed: containerErrors(failed)}
	for _, id := range ok {
		out.Succeeded = append(out.Succeeded, ContainerIDFromPB(id))
	}
	return out
}

// StartContainers starts containers on one node. When the error leaves open whether the node has heard
// (ipc.NotSent is false), ask ContainerStatuses before starting them again: a second start is refused per container.
func (c *NMClient) StartContainers(ctx context.Context, node NodeID, tok token.Token, reqs []*pb.StartContainerRequest) (*ContainerResults, error) {
	r, err := atNode[*pb.StartContainersResponse](ctx, c, node, tok, once("startContainers"), &pb.StartContainersRequest{StartContainerRequest: reqs})
	if err != nil {
		return nil, err
	}
	return results(r.GetSucceededRequests(), r.GetFailedRequests()), nil
}

// StartContainer starts one allocated container.
func (c *NMClient) StartContainer(ctx context.Context, node NodeID, tok token.Token, container *pb.Container, launch *pb.ContainerLaunchContext) error {
	res, err := c.StartContainers(ctx, node, tok, []*pb.StartContainerRequest{{
		ContainerLaunchContext: launch, ContainerToken: container.GetContainerToken(),
	}})
	if err != nil {
		return err
	}
	return res.Failed[ContainerIDFromPB(container.GetId())]
}

// StopContainers stops containers of one node: SIGTERM, then SIGKILL.
func (c *NMClient) StopContainers(ctx context.Context, node NodeID, tok token.Token, ids ...ContainerID) (*ContainerResults, error) {
	r, err := atNode[*pb.StopContainersResponse](ctx, c, node, tok, safe("stopContainers"), &pb.StopContainersRequest{ContainerId: messages(ids)})
	if err != nil {
		return nil, err
	}
	return results(r.GetSucceededRequests(), r.GetFailedRequests()), nil
}

// ContainerStatuses asks a node about its containers. The map tells about those that it could not answer for.
func (c *NMClient) ContainerStatuses(ctx context.Context, node NodeID, tok token.Token, ids ...ContainerID) ([]*pb.ContainerStatus, map[ContainerID]error, error) {
	r, err := atNode[*pb.GetContainerStatusesResponse](ctx, c, node, tok, safe("getContainerStatuses"), &pb.GetContainerStatusesRequest{ContainerId: messages(ids)})
	if err != nil {
		return nil, nil, err
	}
	return r.GetStatus(), containerErrors(r.GetFailedRequests()), nil
}

// SignalContainer signals the container's processes.
func (c *NMClient) SignalContainer(ctx context.Context, node NodeID, tok token.Token, id ContainerID, cmd pb.SignalContainerCommand) error {
	_, err := atNode[*pb.SignalContainerResponse](ctx, c, node, tok, once("signalToContainer"),
		&pb.SignalContainerRequest{ContainerId: id.PB(), Command: cmd.Enum()})
	return err
}

// UpdateContainers puts new sizes into force. The tokens come with AllocateResponse's updated containers.
func (c *NMClient) UpdateContainers(ctx context.Context, node NodeID, tok token.Token, containerTokens ...*pb.Token) (*ContainerResults, error) {
	r, err := atNode[*pb.UpdateContainersResponse](ctx, c, node, tok, safe("updateContainer"), &pb.UpdateContainersRequest{UpdateContainerToken: containerTokens})
	if err != nil {
		return nil, err
	}
	return results(r.GetSucceededRequests(), r.GetFailedRequests()), nil
}

// Localize brings further files into a running container.
func (c *NMClient) Localize(ctx context.Context, node NodeID, tok token.Token, id ContainerID, files []*pb.StringLocalResourceMap) error {
	_, err := atNode[*pb.ResourceLocalizationResponse](ctx, c, node, tok, once("localize"),
		&pb.ResourceLocalizationRequest{ContainerId: id.PB(), LocalResources: files})
	return err
}

// LocalizationStatuses tells how far the localization of containers' files is.
func (c *NMClient) LocalizationStatuses(ctx context.Context, node NodeID, tok token.Token, ids ...ContainerID) ([]*pb.ContainerLocalizationStatuses, map[ContainerID]error, error) {
	r, err := atNode[*pb.GetLocalizationStatusesResponse](ctx, c, node, tok, safe("getLocalizationStatuses"), &pb.GetLocalizationStatusesRequest{ContainerId: messages(ids)})
	if err != nil {
		return nil, nil, err
	}
	return r.GetCntnLocalizationStatuses(), containerErrors(r.GetFailedRequests()), nil
}

// ReInitialize replaces the command of a running container. Without autoCommit, Commit or Rollback must follow.
func (c *NMClient) ReInitialize(ctx context.Context, node NodeID, tok token.Token, id ContainerID, launch *pb.ContainerLaunchContext, autoCommit bool) error {
	_, err := atNode[*pb.ReInitializeContainerResponse](ctx, c, node, tok, once("reInitializeContainer"),
		&pb.ReInitializeContainerRequest{ContainerId: id.PB(), ContainerLaunchContext: launch, AutoCommit: proto.Bool(autoCommit)})
	return err
}

// Restart starts a container's command again.
func (c *NMClient) Restart(ctx context.Context, node NodeID, tok token.Token, id ContainerID) error {
	_, err := atNode[*pb.RestartContainerResponse](ctx, c, node, tok, once("restartContainer"), id.PB())
	return err
}

// Commit makes the last ReInitialize final.
func (c *NMClient) Commit(ctx context.Context, node NodeID, tok token.Token, id ContainerID) error {
	_, err := atNode[*pb.CommitResponse](ctx, c, node, tok, once("commitLastReInitialization"), id.PB())
	return err
}

// Rollback undoes the last ReInitialize.
func (c *NMClient) Rollback(ctx context.Context, node NodeID, tok token.Token, id ContainerID) error {
	_, err := atNode[*pb.RollbackResponse](ctx, c, node, tok, once("rollbackLastReInitialization"), id.PB())
	return err
}

func messages(ids []ContainerID) []*pb.ContainerId {
	out := make([]*pb.ContainerId, len(ids))
	for i, id := range ids {
		out[i] = id.PB()
	}
	return out
}

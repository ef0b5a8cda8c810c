package yarn

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Client talks to the ResourceManager about applications, nodes and queues. It is safe for concurrent use.
type Client struct{ rpc *ipc.Proxy }

// NewClient returns a client of the ResourceManager at o.Addresses. It does not connect yet.
func NewClient(o Options) *Client {
	return &Client{rpc: ipc.NewProxy(o.Addresses, ClientProtocol, o.IPC)}
}

// Close ends all calls in flight. It may be called twice.
func (c *Client) Close() error { return c.rpc.Close() }

// NewApplication is an application id that may be submitted.
type NewApplication struct {
	ID ApplicationID
	// Maximum is the largest container that the cluster gives.
	Maximum *pb.Resource
}

// NewApplication takes an id from the ResourceManager.
func (c *Client) NewApplication(ctx context.Context) (NewApplication, error) {
	r, err := invoke[*pb.GetNewApplicationResponse](ctx, c.rpc, safe("getNewApplication"), &pb.GetNewApplicationRequest{})
	if err != nil {
		return NewApplication{}, err
	}
	return NewApplication{ApplicationIDFromPB(r.GetApplicationId()), r.GetMaximumCapability()}, nil
}

// Submit hands an application over. The ResourceManager only takes note of it and may still refuse it: SubmitAndWait
// knows. Submitting the same id again does no harm.
func (c *Client) Submit(ctx context.Context, app *pb.ApplicationSubmissionContext) error {
	_, err := invoke[*pb.SubmitApplicationResponse](ctx, c.rpc, safe("submitApplication"),
		&pb.SubmitApplicationRequest{ApplicationSubmissionContext: app})
	return err
}

// Report tells what the ResourceManager knows of an application. IsNotFound tells that it knows none of that id.
func (c *Client) Report(ctx context.Context, id ApplicationID) (*pb.ApplicationReport, error) {
	r, err := invoke[*pb.GetApplicationReportResponse](ctx, c.rpc, safe("getApplicationReport"),
		&pb.GetApplicationReportRequest{ApplicationId: id.PB()})
	return r.GetApplicationReport(), err
}

// Applications lists the applications that pass the filter; nil lets all pass.
func (c *Client) Applications(ctx context.Context, filter *pb.GetApplicationsRequest) ([]*pb.ApplicationReport, error) {
	if filter == nil {
		filter = &pb.GetApplicationsRequest{}
	}
	r, err := invoke[*pb.GetApplicationsResponse](ctx, c.rpc, safe("getApplications"), filter)
	return r.GetApplications(), err
}

// Kill asks for the end of an application and tells whether it has ended. Call it until it has, or use KillAndWait.
// The diagnostics appear in the application's report, "" leaves the ResourceManager's own.
func (c *Client) Kill(ctx context.Context, id ApplicationID, diagnostics string) (done bool, err error) {
	req := &pb.KillApplicationRequest{ApplicationId: id.PB()}
	if diagnostics != "" {
		req.Diagnostics = proto.String(diagnostics)
	}
	r, err := invoke[*pb.KillApplicationResponse](ctx, c.rpc, safe("forceKillApplication"), req)
	return r.GetIsKillCompleted(), err
}

// Attempts lists an application's attempts.
func (c *Client) Attempts(ctx context.Context, id ApplicationID) ([]*pb.ApplicationAttemptReport, error) {
	r, err := invoke[*pb.GetApplicationAttemptsResponse](ctx, c.rpc, safe("getApplicationAttempts"),
		&pb.GetApplicationAttemptsRequest{ApplicationId: id.PB()})
	return r.GetApplicationAttempts(), err
}

// Attempt tells what the ResourceManager knows of an attempt.
func (c *Client) Attempt(ctx context.Context, id AttemptID) (*pb.ApplicationAttemptReport, error) {
	r, err := invoke[*pb.GetApplicationAttemptReportResponse](ctx, c.rpc, safe("getApplicationAttemptReport"),
		&pb.GetApplicationAttemptReportRequest{ApplicationAttemptId: id.PB()})
	return r.GetApplicationAttemptReport(), err
}

// FailAttempt makes an attempt fail, so that the ResourceManager starts the next one.
func (c *Client) FailAttempt(ctx context.Context, id AttemptID) error {
	_, err := invoke[*pb.FailApplicationAttemptResponse](ctx, c.rpc, once("failApplicationAttempt"),
		&pb.FailApplicationAttemptRequest{ApplicationAttemptId: id.PB()})
	return err
}

// Containers lists an attempt's containers. The ResourceManager knows the live ones only.
func (c *Client) Containers(ctx context.Context, id AttemptID) ([]*pb.ContainerReport, error) {
	r, err := invoke[*pb.GetContainersResponse](ctx, c.rpc, safe("getContainers"),
		&pb.GetContainersRequest{ApplicationAttemptId: id.PB()})
	return r.GetContainers(), err
}

// Container tells what the ResourceManager knows of a container.
func (c *Client) Container(ctx context.Context, id ContainerID) (*pb.ContainerReport, error) {
	r, err := invoke[*pb.GetContainerReportResponse](ctx, c.rpc, safe("getContainerReport"),
		&pb.GetContainerReportRequest{ContainerId: id.PB()})
	return r.GetContainerReport(), err
}

// SignalContainer has the ResourceManager tell the container's node to signal it. The signal is delivered with the
// node's next heartbeat; nobody reports whether it was.
func (c *Client) SignalContainer(ctx context.Context, id ContainerID, cmd pb.SignalContainerCommand) error {
	_, err := invoke[*pb.SignalContainerResponse](ctx, c.rpc, once("signalToContainer"),
		&pb.SignalContainerRequest{ContainerId: id.PB(), Command: cmd.Enum()})
	return err
}

// Move moves an application to another queue.
func (c *Client) Move(ctx context.Context, id ApplicationID, queue string) error {
	_, err := invoke[*pb.MoveApplicationAcrossQueuesResponse](ctx, c.rpc, safe("moveApplicationAcrossQueues"),
		&pb.MoveApplicationAcrossQueuesRequest{ApplicationId: id.PB(), TargetQueue: proto.String(queue)})
	return err
}

// SetPriority changes an application's priority and returns the one that the cluster granted: it has a maximum.
func (c *Client) SetPriority(ctx context.Context, id ApplicationID, priority int32) (int32, error) {
	r, err := invoke[*pb.UpdateApplicationPriorityResponse](ctx, c.rpc, safe("updateApplicationPriority"),
		&pb.UpdateApplicationPriorityRequest{ApplicationId: id.PB(), ApplicationPriority: &pb.Priority{Priority: proto.Int32(priority)}})
	return r.GetApplicationPriority().GetPriority(), err
}

// lifetimeFormat is how times of expiry travel. Source: org.apache.hadoop.yarn.util.Times.ISO8601_DATE_FORMAT.
const lifetimeFormat = "2006-01-02T15:04:05.000-0700"

// SetLifetime has the ResourceManager kill the application at a time.
func (c *Client) SetLifetime(ctx context.Context, id ApplicationID, expire time.Time) error {
	_, err := invoke[*pb.UpdateApplicationTimeoutsResponse](ctx, c.rpc, safe("updateApplicationTimeouts"),
		&pb.UpdateApplicationTimeoutsRequest{ApplicationId: id.PB(), ApplicationTimeouts: []*pb.ApplicationUpdateTimeoutMap{{
			ApplicationTimeoutType: pb.ApplicationTimeoutType_APP_TIMEOUT_LIFETIME.Enum(),
			ExpireTime:             proto.String(expire.Format(lifetimeFormat)),
		}}})
	return err
}

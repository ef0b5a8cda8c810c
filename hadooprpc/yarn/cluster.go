package yarn

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// ClusterMetrics counts nodes by state.
func (c *Client) ClusterMetrics(ctx context.Context) (*pb.ClusterMetrics, error) {
	r, err := invoke[*pb.GetClusterMetricsResponse](ctx, c.rpc, safe("getClusterMetrics"), &pb.GetClusterMetricsRequest{})
	return r.GetClusterMetrics(), err
}

// Nodes lists the nodes in the given states; none given means all states.
func (c *Client) Nodes(ctx context.Context, states ...pb.NodeState) ([]*pb.NodeReport, error) {
	r, err := invoke[*pb.GetClusterNodesResponse](ctx, c.rpc, safe("getClusterNodes"), &pb.GetClusterNodesRequest{NodeStates: states})
	return r.GetNodeReports(), err
}

// Queue describes a queue with whatever else the request asks for. An unknown queue gives nil and no error (seen on
// 3.4.2 with the Capacity Scheduler).
func (c *Client) Queue(ctx context.Context, req *pb.GetQueueInfoRequest) (*pb.QueueInfo, error) {
	r, err := invoke[*pb.GetQueueInfoResponse](ctx, c.rpc, safe("getQueueInfo"), req)
	return r.GetQueueInfo(), err
}

// QueueACLs lists what the caller may do in each queue.
func (c *Client) QueueACLs(ctx context.Context) ([]*pb.QueueUserACLInfo, error) {
	r, err := invoke[*pb.GetQueueUserAclsInfoResponse](ctx, c.rpc, safe("getQueueUserAcls"), &pb.GetQueueUserAclsInfoRequest{})
	return r.GetQueueUserAcls(), err
}

// NodeLabels lists the cluster's node labels.
func (c *Client) NodeLabels(ctx context.Context) ([]*pb.NodeLabel, error) {
	r, err := invoke[*pb.GetClusterNodeLabelsResponse](ctx, c.rpc, safe("getClusterNodeLabels"), &pb.GetClusterNodeLabelsRequest{})
	return r.GetNodeLabels(), err
}

// ResourceTypes lists what the cluster counts, memory and virtual cores included. An ask that names another type is
// not refused: that part of it is ignored.
func (c *Client) ResourceTypes(ctx context.Context) ([]*pb.ResourceTypeInfo, error) {
	r, err := invoke[*pb.GetAllResourceTypeInfoResponse](ctx, c.rpc, safe("getResourceTypeInfo"), &pb.GetAllResourceTypeInfoRequest{})
	return r.GetResourceTypeInfo(), err
}

// DelegationToken obtains a token with which others can act for the caller. With security only a Kerberos login gets
// one; a cluster without security gives one to anybody (seen on 3.4.2). Its service is empty: set it before storing
// the token, to the ResourceManager's address or addresses.
func (c *Client) DelegationToken(ctx context.Context, renewer string) (token.Token, error) {
	r, err := invoke[*pb.GetDelegationTokenResponse](ctx, c.rpc, safe("getDelegationToken"),
		&pb.GetDelegationTokenRequest{Renewer: proto.String(renewer)})
	return TokenFromPB(r.GetToken()), err
}

// RenewDelegationToken prolongs a token and returns when it will expire.
func (c *Client) RenewDelegationToken(ctx context.Context, t token.Token) (time.Time, error) {
	r, err := invoke[*pb.RenewDelegationTokenResponse](ctx, c.rpc, safe("renewDelegationToken"),
		&pb.RenewDelegationTokenRequest{Token: TokenToPB(t)})
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(r.GetNewExpiryTime())), nil
}

// CancelDelegationToken makes a token worthless.
func (c *Client) CancelDelegationToken(ctx context.Context, t token.Token) error {
	_, err := invoke[*pb.CancelDelegationTokenResponse](ctx, c.rpc, safe("cancelDelegationToken"),
		&pb.CancelDelegationTokenRequest{Token: TokenToPB(t)})
	return err
}

package rm

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func (m *RM) handleMasters(s *hadooptest.Server) {
	handle(m, s, yarn.MasterProtocol, "registerApplicationMaster", m.register)
	handle(m, s, yarn.MasterProtocol, "allocate", m.allocate)
	handle(m, s, yarn.MasterProtocol, "finishApplicationMaster", m.finish)
}

func (m *RM) register(c *hadooptest.Call, req *pb.RegisterApplicationMasterRequest, now time.Time) (*pb.RegisterApplicationMasterResponse, error) {
	id, _, err := caller(c)
	if err != nil {
		return nil, err
	}
	reg, err := m.core.Register(id, req.GetHost(), req.GetRpcPort(), req.GetTrackingUrl(), now)
	if err != nil {
		return nil, err
	}
	v, err := m.core.App(id.App, now)
	if err != nil {
		return nil, err
	}
	return &pb.RegisterApplicationMasterResponse{
		MaximumCapability: resource(reg.Maximum), ApplicationAcls: reg.ACLs, Queue: &reg.Queue,
		ContainersFromPreviousAttempts: m.containers(reg.Previous, v), NmTokensFromPreviousAttempts: m.nmTokens(id, reg.Tokens, v.User),
		SchedulerResourceTypes: []pb.SchedulerResourceType{pb.SchedulerResourceType_MEMORY, pb.SchedulerResourceType_CPU},
		ResourceTypes:          m.resourceTypes(), ClientToAmTokenMasterKey: m.clientKey(id),
	}, nil
}

func (m *RM) allocate(c *hadooptest.Call, req *pb.AllocateRequest, now time.Time) (*pb.AllocateResponse, error) {
	id, key, err := caller(c)
	if err != nil {
		return nil, err
	}
	if err := m.partitioned(req); err != nil {
		return nil, err
	}
	out, err := m.core.Allocate(id, request(req), now)
	if err != nil {
		return nil, err
	}
	v, err := m.core.App(id.App, now)
	if err != nil {
		return nil, err
	}
	resp := m.response(id, v, out)
	if m.amrm.next != nil && m.amrm.next.ID != key {
		resp.AmRmToken = yarn.TokenToPB(m.amrmToken(id))
	}
	return resp, nil
}

// partitioned trips over asks that do not say of which kind they are, as a real ResourceManager does that offers
// opportunistic containers. Source: OpportunisticContainerAllocator.partitionAskList, seen on 3.4.2.
func (m *RM) partitioned(req *pb.AllocateRequest) error {
	for _, a := range req.GetAsk() {
		if m.opts.Cluster.Opportunistic && a.ExecutionTypeRequest == nil {
			return &hadooptest.Exception{Class: "java.lang.NullPointerException",
				Message: `Cannot invoke "org.apache.hadoop.yarn.api.records.ExecutionTypeRequest.getExecutionType()" because the return value of "org.apache.hadoop.yarn.api.records.ResourceRequest.getExecutionTypeRequest()" is null`}
		}
	}
	return nil
}

// request reads a heartbeat.
func request(req *pb.AllocateRequest) *core.AllocateRequest {
	r := &core.AllocateRequest{ResponseID: req.GetResponseId(), Progress: req.GetProgress(), TrackingURL: req.GetTrackingUrl(),
		Block: req.GetBlacklistRequest().GetBlacklistAdditions(), Unblock: req.GetBlacklistRequest().GetBlacklistRemovals()}
	for _, a := range req.GetAsk() {
		r.Asks = append(r.Asks, core.Ask{Priority: a.GetPriority().GetPriority(), RequestID: a.GetAllocationRequestId(), Name: a.GetResourceName(),
			Resource: core.FromPB(a.GetCapability()), Count: int(a.GetNumContainers()), Relax: a.GetRelaxLocality(), Label: a.NodeLabelExpression,
			Execution: a.GetExecutionTypeRequest().GetExecutionType()})
	}
	for _, id := range req.GetRelease() {
		r.Releases = append(r.Releases, yarn.ContainerIDFromPB(id))
	}
	for _, u := range req.GetUpdateRequests() {
		r.Updates = append(r.Updates, core.Update{ID: yarn.ContainerIDFromPB(u.GetContainerId()), Version: u.GetContainerVersion(), Type: u.GetUpdateType(),
			Resource: core.FromPB(u.GetCapability()), Execution: u.GetExecutionType(), Raw: u})
	}
	return r
}

// response writes the answer.
func (m *RM) response(id yarn.AttemptID, v core.AppView, out *core.Allocation) *pb.AllocateResponse {
	resp := &pb.AllocateResponse{
		ResponseId: &out.ResponseID, AllocatedContainers: m.containers(out.Containers, v), Limit: resource(out.Headroom),
		NumClusterNodes: proto.Int32(int32(out.NumNodes)), NmTokens: m.nmTokens(id, out.Tokens, v.User), ApplicationPriority: priority(out.Priority),
		ContainersFromPreviousAttempts: m.containers(out.Previous, v), Preempt: preemption(out),
	}
	for _, d := range out.Completed {
		resp.CompletedContainerStatuses = append(resp.CompletedContainerStatuses, &pb.ContainerStatus{ContainerId: d.ID.PB(),
			State: pb.ContainerState_C_COMPLETE.Enum(), Diagnostics: proto.String(d.Diagnostics), ExitStatus: proto.Int32(int32(d.Exit)),
			Capability: resource(d.Resource), ExecutionType: d.Execution.Enum()})
	}
	for _, n := range out.Nodes {
		r := nodeReport(n.Node)
		r.NodeUpdateType = n.Type.Enum()
		resp.UpdatedNodes = append(resp.UpdatedNodes, r)
	}
	for _, u := range out.Updated {
		u.Container.Acquired = m.now() // the new token's life begins
		resp.UpdatedContainers = append(resp.UpdatedContainers, &pb.UpdatedContainer{UpdateType: u.Type.Enum(), Container: m.container(u.Container, v)})
	}
	for _, e := range out.UpdateErrors {
		resp.UpdateErrors = append(resp.UpdateErrors, &pb.UpdateContainerError{Reason: proto.String(e.Reason), UpdateRequest: e.Raw, CurrentContainerVersion: proto.Int32(e.Version)})
	}
	return resp
}

func preemption(out *core.Allocation) *pb.PreemptionMessage {
	if len(out.Strict)+len(out.Negotiable) == 0 {
		return nil
	}
	list := func(ids []yarn.ContainerID) (l []*pb.PreemptionContainer) {
		for _, id := range ids {
			l = append(l, &pb.PreemptionContainer{Id: id.PB()})
		}
		return l
	}
	msg := &pb.PreemptionMessage{}
	if len(out.Strict) > 0 {
		msg.StrictContract = &pb.StrictPreemptionContract{Container: list(out.Strict)}
	}
	if len(out.Negotiable) > 0 {
		msg.Contract = &pb.PreemptionContract{Container: list(out.Negotiable)}
	}
	return msg
}

func (m *RM) finish(c *hadooptest.Call, req *pb.FinishApplicationMasterRequest, now time.Time) (*pb.FinishApplicationMasterResponse, error) {
	id, _, err := caller(c)
	if err != nil {
		return nil, err
	}
	done, err := m.core.Finish(id, req.GetFinalApplicationStatus(), req.GetDiagnostics(), req.GetTrackingUrl(), now)
	return &pb.FinishApplicationMasterResponse{IsUnregistered: &done}, err
}

func (m *RM) container(c core.Container, v core.AppView) *pb.Container {
	return &pb.Container{
		Id: c.ID.PB(), NodeId: c.Node.PB(), NodeHttpAddress: proto.String(c.HTTP), Resource: resource(c.Resource), Priority: priority(c.Priority),
		ContainerToken: yarn.TokenToPB(m.containerToken(c, v.User, v.Context.GetLogAggregationContext())), ExecutionType: c.Execution.Enum(),
		AllocationRequestId: proto.Int64(c.RequestID), Version: proto.Int32(c.Version),
	}
}

func (m *RM) containers(list []core.Container, v core.AppView) []*pb.Container {
	var out []*pb.Container
	for _, c := range list {
		out = append(out, m.container(c, v))
	}
	return out
}

func (m *RM) nmTokens(id yarn.AttemptID, nodes []yarn.NodeID, user string) []*pb.NMToken {
	var out []*pb.NMToken
	for _, n := range nodes {
		out = append(out, &pb.NMToken{NodeId: n.PB(), Token: yarn.TokenToPB(m.nmToken(id, n, user))})
	}
	return out
}

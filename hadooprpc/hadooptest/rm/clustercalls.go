package rm

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func (m *RM) handleClusterCalls(s *hadooptest.Server) {
	const p = yarn.ClientProtocol
	handle(m, s, p, "getClusterMetrics", m.getMetrics)
	handle(m, s, p, "getClusterNodes", m.getNodes)
	handle(m, s, p, "getQueueInfo", m.getQueueInfo)
	handle(m, s, p, "getQueueUserAcls", m.getQueueACLs)
	handle(m, s, p, "getClusterNodeLabels", m.getLabels)
	handle(m, s, p, "getNodeToLabels", m.getNodesToLabels)
	handle(m, s, p, "getLabelsToNodes", m.getLabelsToNodes)
	handle(m, s, p, "getResourceTypeInfo", m.getResourceTypes)
	handle(m, s, p, "getResourceProfiles", m.getProfiles)
}

func (m *RM) getMetrics(*hadooptest.Call, *pb.GetClusterMetricsRequest, time.Time) (*pb.GetClusterMetricsResponse, error) {
	count := make(map[pb.NodeState]int32)
	for _, n := range m.core.Nodes() {
		count[n.State]++
	}
	active := count[pb.NodeState_NS_RUNNING]
	return &pb.GetClusterMetricsResponse{ClusterMetrics: &pb.ClusterMetrics{
		NumNodeManagers: proto.Int32(active + count[pb.NodeState_NS_UNHEALTHY]), NumActiveNms: &active, NumDecommissionedNms: proto.Int32(count[pb.NodeState_NS_DECOMMISSIONED]),
		NumLostNms: proto.Int32(count[pb.NodeState_NS_LOST]), NumUnhealthyNms: proto.Int32(count[pb.NodeState_NS_UNHEALTHY]), NumRebootedNms: proto.Int32(0),
		NumDecommissioningNms: proto.Int32(0), NumShutdownNms: proto.Int32(0),
	}}, nil
}

func (m *RM) getNodes(_ *hadooptest.Call, req *pb.GetClusterNodesRequest, _ time.Time) (*pb.GetClusterNodesResponse, error) {
	resp := &pb.GetClusterNodesResponse{}
	for _, n := range m.core.Nodes() {
		if len(req.GetNodeStates()) == 0 || slices.Contains(req.GetNodeStates(), n.State) {
			resp.NodeReports = append(resp.NodeReports, nodeReport(n))
		}
	}
	return resp, nil
}

// getQueueInfo answers nothing for a queue that does not exist, as seen on 3.4.2.
func (m *RM) getQueueInfo(c *hadooptest.Call, req *pb.GetQueueInfoRequest, now time.Time) (*pb.GetQueueInfoResponse, error) {
	name := strings.TrimPrefix(req.GetQueueName(), "root.")
	var children []*pb.QueueInfo
	for _, q := range m.core.Queues() {
		info := m.queueInfo(q)
		if req.GetIncludeApplications() {
			for _, id := range q.Applications {
				if v, err := m.core.App(id, now); err == nil && m.allowed(user(c), v, look) {
					info.Applications = append(info.Applications, m.appReport(v, user(c), now))
				}
			}
		}
		if q.Name == name {
			return &pb.GetQueueInfoResponse{QueueInfo: info}, nil
		}
		children = append(children, info)
	}
	if name != "root" {
		return &pb.GetQueueInfoResponse{}, nil
	}
	root := &pb.QueueInfo{QueueName: proto.String("root"), QueuePath: proto.String("root"), Capacity: proto.Float32(1), MaximumCapacity: proto.Float32(1),
		State: pb.QueueState_Q_RUNNING.Enum(), QueueStatistics: &pb.QueueStatistics{}, SchedulerType: proto.String("CapacityScheduler"),
		AccessibleNodeLabels: []string{"*"}, PreemptionDisabled: proto.Bool(true), CurrentCapacity: proto.Float32(0)}
	for _, q := range children {
		*root.CurrentCapacity += q.GetCurrentCapacity() * q.GetCapacity()
		if req.GetIncludeApplications() {
			root.Applications = append(root.Applications, q.GetApplications()...)
		}
	}
	if req.GetIncludeChildQueues() || req.GetRecursive() {
		root.ChildQueues = children
	}
	return &pb.GetQueueInfoResponse{QueueInfo: root}, nil
}

// queueInfo describes a leaf queue. Source: CSQueueUtils, AbstractCSQueue.getQueueInfo.
func (m *RM) queueInfo(q core.QueueView) *pb.QueueInfo {
	state := pb.QueueState_Q_RUNNING
	if q.Stopped {
		state = pb.QueueState_Q_STOPPED
	}
	total := m.core.Total()
	share, most := float32(q.Capacity/100), float32(q.MaxCapacity/100)
	of := func(f float64) *pb.Resource {
		return yarn.NewResource(int64(float64(total.MemoryMiB)*f/100), int32(float64(total.VCores)*f/100), nil)
	}
	return &pb.QueueInfo{
		QueueName: &q.Name, QueuePath: &q.Path, Capacity: &share, MaximumCapacity: &most, CurrentCapacity: proto.Float32(float32(q.Usage)), State: &state,
		SchedulerType: proto.String("CapacityScheduler"), AccessibleNodeLabels: []string{"*"}, DefaultNodeLabelExpression: proto.String(q.Label),
		PreemptionDisabled: proto.Bool(true), IntraQueuePreemptionDisabled: proto.Bool(true), Weight: proto.Float32(-1),
		QueueStatistics: &pb.QueueStatistics{
			NumAppsSubmitted: &q.Submitted, NumAppsRunning: &q.Running, NumAppsPending: &q.PendingApps, NumAppsCompleted: &q.Completed,
			NumAppsKilled: &q.Killed, NumAppsFailed: &q.Failed, NumActiveUsers: &q.Users,
			AvailableMemoryMb: proto.Int64(max(int64(float64(total.MemoryMiB)*q.MaxCapacity/100)-q.Used.MemoryMiB, 0)), AllocatedMemoryMb: proto.Int64(q.Used.MemoryMiB),
			PendingMemoryMb: proto.Int64(q.Pending.MemoryMiB), AvailableVcores: proto.Int64(max(int64(float64(total.VCores)*q.MaxCapacity/100)-int64(q.Used.VCores), 0)),
			AllocatedVcores: proto.Int64(int64(q.Used.VCores)), PendingVcores: proto.Int64(int64(q.Pending.VCores)),
			AllocatedContainers: proto.Int64(int64(q.Containers)), PendingContainers: proto.Int64(int64(q.PendingContainers)),
			ReservedMemoryMb: proto.Int64(0), ReservedVcores: proto.Int64(0), ReservedContainers: proto.Int64(0),
		},
		QueueConfigurationsMap: []*pb.QueueConfigurationsMap{{PartitionName: proto.String(""), QueueConfigurations: &pb.QueueConfigurations{
			Capacity: &share, AbsoluteCapacity: &share, MaxCapacity: &most, AbsoluteMaxCapacity: &most, MaxAmpercentage: proto.Float32(float32(m.core.Config().AMShare)),
			EffectiveMinCapacity: of(q.Capacity), EffectiveMaxCapacity: of(q.MaxCapacity),
			ConfiguredMinCapacity: yarn.NewResource(0, 0, nil), ConfiguredMaxCapacity: yarn.NewResource(0, 0, nil),
		}}},
	}
}

func (m *RM) getQueueACLs(*hadooptest.Call, *pb.GetQueueUserAclsInfoRequest, time.Time) (*pb.GetQueueUserAclsInfoResponse, error) {
	resp := &pb.GetQueueUserAclsInfoResponse{}
	for _, name := range append([]string{"root"}, m.queueNames()...) {
		resp.QueueUserAcls = append(resp.QueueUserAcls, &pb.QueueUserACLInfo{QueueName: &name,
			UserAcls: []pb.QueueACL{pb.QueueACL_QACL_SUBMIT_APPLICATIONS, pb.QueueACL_QACL_ADMINISTER_QUEUE}})
	}
	return resp, nil
}

func (m *RM) queueNames() (out []string) {
	for _, q := range m.core.Queues() {
		out = append(out, q.Name)
	}
	return out
}

func (m *RM) getLabels(*hadooptest.Call, *pb.GetClusterNodeLabelsRequest, time.Time) (*pb.GetClusterNodeLabelsResponse, error) {
	resp := &pb.GetClusterNodeLabelsResponse{}
	for _, l := range m.core.Labels() {
		resp.DeprecatedNodeLabels = append(resp.DeprecatedNodeLabels, l)
		resp.NodeLabels = append(resp.NodeLabels, &pb.NodeLabel{Name: &l, IsExclusive: proto.Bool(true)})
	}
	return resp, nil
}

func (m *RM) getNodesToLabels(*hadooptest.Call, *pb.GetNodesToLabelsRequest, time.Time) (*pb.GetNodesToLabelsResponse, error) {
	resp := &pb.GetNodesToLabelsResponse{}
	for _, n := range m.core.Nodes() {
		if n.Label != "" {
			resp.NodeToLabels = append(resp.NodeToLabels, &pb.NodeIdToLabels{NodeId: n.ID.PB(), NodeLabels: []string{n.Label}})
		}
	}
	return resp, nil
}

func (m *RM) getLabelsToNodes(_ *hadooptest.Call, req *pb.GetLabelsToNodesRequest, _ time.Time) (*pb.GetLabelsToNodesResponse, error) {
	resp := &pb.GetLabelsToNodesResponse{}
	for _, l := range m.core.Labels() {
		if want := req.GetNodeLabels(); len(want) > 0 && !slices.Contains(want, l) {
			continue
		}
		e := &pb.LabelsToNodeIds{NodeLabels: &l}
		for _, n := range m.core.Nodes() {
			if n.Label == l {
				e.NodeId = append(e.NodeId, n.ID.PB())
			}
		}
		resp.LabelsToNodes = append(resp.LabelsToNodes, e)
	}
	return resp, nil
}

func (m *RM) resourceTypes() []*pb.ResourceTypeInfo {
	countable := pb.ResourceType_COUNTABLE.Enum()
	out := []*pb.ResourceTypeInfo{
		{Name: proto.String(yarn.Memory), Units: proto.String("Mi"), Type: countable},
		{Name: proto.String(yarn.Vcores), Units: proto.String(""), Type: countable},
	}
	for _, t := range m.core.Config().Types {
		out = append(out, &pb.ResourceTypeInfo{Name: &t, Units: proto.String(""), Type: countable})
	}
	return out
}

func (m *RM) getResourceTypes(*hadooptest.Call, *pb.GetAllResourceTypeInfoRequest, time.Time) (*pb.GetAllResourceTypeInfoResponse, error) {
	return &pb.GetAllResourceTypeInfoResponse{ResourceTypeInfo: m.resourceTypes()}, nil
}

// getProfiles refuses, as the real one does unless profiles are on. Java's clients take that for having none.
func (m *RM) getProfiles(*hadooptest.Call, *pb.GetAllResourceProfilesRequest, time.Time) (*pb.GetAllResourceProfilesResponse, error) {
	return nil, &hadooptest.Exception{Class: "org.apache.hadoop.yarn.exceptions.YARNFeatureNotEnabledException",
		Message: "Resource profile is not enabled, please enable resource profile feature before using its functions. (by setting yarn.resourcemanager.resource-profiles.enabled to true)"}
}

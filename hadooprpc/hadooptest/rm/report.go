package rm

import (
	"cmp"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// noAttempt is the number of the attempt of an application that has none.
const noAttempt = -1

// appReport is an application as a user may see it. Source: RMAppImpl.createAndGetApplicationReport.
func (m *RM) appReport(v core.AppView, user string, now time.Time) *pb.ApplicationReport {
	ctx := v.Context
	r := &pb.ApplicationReport{
		ApplicationId: v.ID.PB(), User: &v.User, Queue: &v.Queue, Name: proto.String(ctx.GetApplicationName()), Host: &v.Host, RpcPort: &v.Port,
		YarnApplicationState: v.State.Enum(), TrackingUrl: &v.TrackingURL, OriginalTrackingUrl: &v.Origin, Diagnostics: &v.Diagnostics,
		StartTime: ms(v.Submitted), SubmitTime: ms(v.Submitted), LaunchTime: ms(v.Launched), FinishTime: ms(v.Finished),
		FinalApplicationStatus: v.Final.Enum(), AppResourceUsage: usage(v), Progress: &v.Progress, ApplicationType: proto.String(ctx.GetApplicationType()),
		ApplicationTags: ctx.GetApplicationTags(), LogAggregationStatus: pb.LogAggregationStatus_LOG_NOT_START.Enum(),
		UnmanagedApplication: proto.Bool(ctx.GetUnmanagedAm()), Priority: priority(v.Priority),
		AppNodeLabelExpression: proto.String(cmp.Or(ctx.GetNodeLabelExpression(), "<Not set>")), AmNodeLabelExpression: proto.String(cmp.Or(ctx.GetNodeLabelExpression(), "<Not set>")),
	}
	if v.Attempts == 0 {
		v.Attempt.ID = yarn.AttemptID{App: v.ID, Attempt: noAttempt}
	}
	r.CurrentApplicationAttemptId = v.Attempt.ID.PB()
	r.AppTimeouts = []*pb.AppTimeoutsMap{lifetime(v, now)}
	if v.Attempts > 0 && v.Finished.IsZero() && m.opts.ClientTokens != nil {
		r.ClientToAmToken = yarn.TokenToPB(m.clientToken(v.Attempt.ID, user))
	}
	// Only its owner, and only until the master has registered. Source: RMAppImpl, YARN-1053.
	if ctx.GetUnmanagedAm() && user == v.User && v.Attempt.State == pb.AttemptState_APP_ATTEMPT_LAUNCHED {
		r.AmRmToken = yarn.TokenToPB(m.amrmToken(v.Attempt.ID))
	}
	if !m.allowed(user, v, look) {
		const hidden = "N/A"
		r.Host, r.RpcPort, r.TrackingUrl, r.OriginalTrackingUrl = proto.String(hidden), proto.Int32(-1), proto.String(hidden), proto.String(hidden)
		r.Diagnostics, r.AppResourceUsage, r.ApplicationTags, r.ClientToAmToken = proto.String(""), deadUsage(), nil, nil
	}
	return r
}

func lifetime(v core.AppView, now time.Time) *pb.AppTimeoutsMap {
	t := &pb.ApplicationTimeout{ApplicationTimeoutType: pb.ApplicationTimeoutType_APP_TIMEOUT_LIFETIME.Enum(),
		ExpireTime: proto.String("UNLIMITED"), RemainingTime: proto.Int64(-1)}
	if !v.Expire.IsZero() {
		left := int64(max(v.Expire.Sub(now), 0).Seconds())
		if !v.Finished.IsZero() {
			left = 0
		}
		t.ExpireTime, t.RemainingTime = proto.String(v.Expire.Format(iso8601)), &left
	}
	return &pb.AppTimeoutsMap{ApplicationTimeoutType: t.ApplicationTimeoutType, ApplicationTimeout: t}
}

// deadUsage is that of an application that is not in the scheduler. Source:
// RMServerUtils.DUMMY_APPLICATION_RESOURCE_USAGE_REPORT.
func deadUsage() *pb.ApplicationResourceUsageReport {
	none := yarn.NewResource(-1, -1, nil)
	return &pb.ApplicationResourceUsageReport{NumUsedContainers: proto.Int32(-1), NumReservedContainers: proto.Int32(-1),
		UsedResources: none, ReservedResources: none, NeededResources: none, MemorySeconds: proto.Int64(0), VcoreSeconds: proto.Int64(0)}
}

func usage(v core.AppView) *pb.ApplicationResourceUsageReport {
	u := deadUsage()
	if v.Live {
		u = &pb.ApplicationResourceUsageReport{NumUsedContainers: proto.Int32(int32(v.Containers)), NumReservedContainers: proto.Int32(0),
			UsedResources: resource(v.Used), ReservedResources: yarn.NewResource(0, 0, nil), NeededResources: resource(v.Used),
			QueueUsagePercentage: &v.QueueShare, ClusterUsagePercentage: &v.Share}
	}
	u.MemorySeconds, u.VcoreSeconds = &v.MemorySeconds, &v.CoreSeconds
	u.PreemptedMemorySeconds, u.PreemptedVcoreSeconds = &v.PreemptedMemorySeconds, &v.PreemptedCoreSeconds
	u.ApplicationResourceUsageMap = []*pb.StringLongMap{{Key: proto.String(yarn.Memory), Value: &v.MemorySeconds}, {Key: proto.String(yarn.Vcores), Value: &v.CoreSeconds}}
	return u
}

func attemptReport(v core.AttemptView) *pb.ApplicationAttemptReport {
	r := &pb.ApplicationAttemptReport{ApplicationAttemptId: v.ID.PB(), Host: &v.Host, RpcPort: &v.Port, TrackingUrl: &v.TrackingURL,
		OriginalTrackingUrl: &v.Origin, Diagnostics: &v.Diagnostics, YarnApplicationAttemptState: v.State.Enum(), StartTime: ms(v.Began), FinishTime: ms(v.Finished)}
	if v.Master != (yarn.ContainerID{}) {
		r.AmContainerId = v.Master.PB()
	}
	return r
}

// containerReport is a live container. Source: RMContainerImpl.createContainerReport.
func (m *RM) containerReport(c core.Container) *pb.ContainerReport {
	state := pb.ContainerState_C_NEW
	if c.Phase == core.Running {
		state = pb.ContainerState_C_RUNNING
	}
	user := ""
	if v, err := m.core.App(c.ID.Attempt.App, m.now()); err == nil {
		user = v.User
	}
	return &pb.ContainerReport{ContainerId: c.ID.PB(), Resource: resource(c.Resource), NodeId: c.Node.PB(), Priority: priority(c.Priority),
		CreationTime: ms(c.Created), FinishTime: proto.Int64(0), DiagnosticsInfo: proto.String(""), ContainerExitStatus: proto.Int32(0), ContainerState: &state,
		LogUrl: proto.String(fmt.Sprintf("http://%s/node/containerlogs/%s/%s", c.HTTP, c.ID, user)), NodeHttpAddress: proto.String("http://" + c.HTTP),
		ExecutionType: c.Execution.Enum()}
}

func nodeReport(n core.NodeView) *pb.NodeReport {
	r := &pb.NodeReport{NodeId: n.ID.PB(), HttpAddress: &n.HTTP, RackName: &n.Rack, Used: resource(n.Used), Capability: resource(n.Capability),
		NumContainers: proto.Int32(int32(n.Containers)), NodeState: n.State.Enum(), HealthReport: &n.Why, LastHealthReportTime: ms(n.Seen)}
	if n.Label != "" {
		r.NodeLabels = []string{n.Label}
	}
	return r
}

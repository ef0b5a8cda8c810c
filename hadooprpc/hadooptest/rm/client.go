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

func (m *RM) handleClients(s *hadooptest.Server) {
	const p = yarn.ClientProtocol
	handle(m, s, p, "getNewApplication", m.newApplication)
	handle(m, s, p, "submitApplication", m.submit)
	handle(m, s, p, "getApplicationReport", m.getReport)
	handle(m, s, p, "getApplications", m.getApplications)
	handle(m, s, p, "forceKillApplication", m.kill)
	handle(m, s, p, "getApplicationAttempts", m.getAttempts)
	handle(m, s, p, "getApplicationAttemptReport", m.getAttempt)
	handle(m, s, p, "failApplicationAttempt", m.failAttempt)
	handle(m, s, p, "getContainers", m.getContainers)
	handle(m, s, p, "getContainerReport", m.getContainer)
	handle(m, s, p, "signalToContainer", m.signal)
	handle(m, s, p, "moveApplicationAcrossQueues", m.move)
	handle(m, s, p, "updateApplicationPriority", m.updatePriority)
	handle(m, s, p, "updateApplicationTimeouts", m.updateTimeouts)
	handle(m, s, p, "getDelegationToken", m.getDelegationToken)
	handle(m, s, p, "renewDelegationToken", m.renewDelegationToken)
	handle(m, s, p, "cancelDelegationToken", m.cancelDelegationToken)
	m.handleClusterCalls(s)
}

// access checks the caller's right to look at an application, or to change it.
func (m *RM) access(c *hadooptest.Call, id yarn.ApplicationID, kind pb.ApplicationAccessType, now time.Time) error {
	v, err := m.core.App(id, now)
	if err != nil || m.allowed(user(c), v, kind) {
		return nil // what does not exist is somebody else's error
	}
	name := strings.TrimPrefix(kind.String(), "APPACCESS_")
	return refused(accessControl, "User %s cannot perform operation %s on %s", user(c), name, id)
}

// allowed tells whether a user has a right. Source: ApplicationACLsManager.checkAccess.
func (m *RM) allowed(user string, v core.AppView, kind pb.ApplicationAccessType) bool {
	if !m.opts.ACLs || user == v.User || slices.Contains(m.opts.Admins, user) {
		return true
	}
	for _, acl := range v.Context.GetAmContainerSpec().GetApplicationAcls() {
		users, _, _ := strings.Cut(acl.GetAcl(), " ")
		if acl.GetAccessType() == kind && (acl.GetAcl() == "*" || slices.Contains(strings.Split(users, ","), user)) {
			return true
		}
	}
	return false
}

const modify, look = pb.ApplicationAccessType_APPACCESS_MODIFY_APP, pb.ApplicationAccessType_APPACCESS_VIEW_APP

func (m *RM) newApplication(*hadooptest.Call, *pb.GetNewApplicationRequest, time.Time) (*pb.GetNewApplicationResponse, error) {
	return &pb.GetNewApplicationResponse{ApplicationId: m.core.NewApplicationID().PB(), MaximumCapability: resource(m.core.Maximum())}, nil
}

func (m *RM) submit(c *hadooptest.Call, req *pb.SubmitApplicationRequest, now time.Time) (*pb.SubmitApplicationResponse, error) {
	return &pb.SubmitApplicationResponse{}, m.core.Submit(req.GetApplicationSubmissionContext(), user(c), now)
}

func (m *RM) getReport(c *hadooptest.Call, req *pb.GetApplicationReportRequest, now time.Time) (*pb.GetApplicationReportResponse, error) {
	v, err := m.core.App(yarn.ApplicationIDFromPB(req.GetApplicationId()), now)
	if err != nil {
		return nil, err
	}
	return &pb.GetApplicationReportResponse{ApplicationReport: m.appReport(v, user(c), now)}, nil
}

func (m *RM) getApplications(c *hadooptest.Call, req *pb.GetApplicationsRequest, now time.Time) (*pb.GetApplicationsResponse, error) {
	resp := &pb.GetApplicationsResponse{}
	for _, v := range m.core.Apps(now) {
		if req.Limit != nil && int64(len(resp.Applications)) >= req.GetLimit() {
			break
		}
		if m.passes(v, req, user(c)) {
			resp.Applications = append(resp.Applications, m.appReport(v, user(c), now))
		}
	}
	return resp, nil
}

// passes tells whether an application passes a filter.
func (m *RM) passes(v core.AppView, f *pb.GetApplicationsRequest, user string) bool {
	one := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	within := func(begin, end *int64, t time.Time) bool {
		ms := t.UnixMilli()
		if t.IsZero() {
			ms = 0
		}
		return (begin == nil || ms >= *begin) && (end == nil || ms <= *end)
	}
	switch {
	case f.GetScope() == pb.ApplicationsRequestScope_OWN && user != v.User,
		f.GetScope() == pb.ApplicationsRequestScope_VIEWABLE && !m.allowed(user, v, look),
		!one(f.GetApplicationTypes(), v.Context.GetApplicationType()), !one(f.GetUsers(), v.User),
		!one(f.GetQueues(), v.Queue) && !one(f.GetQueues(), strings.TrimPrefix(v.Queue, "root.")),
		len(f.GetApplicationStates()) > 0 && !slices.Contains(f.GetApplicationStates(), v.State),
		!within(f.StartBegin, f.StartEnd, v.Submitted), !within(f.FinishBegin, f.FinishEnd, v.Finished),
		f.GetName() != "" && f.GetName() != v.Context.GetApplicationName():
		return false
	}
	tags := v.Context.GetApplicationTags()
	return len(f.GetApplicationTags()) == 0 || slices.ContainsFunc(f.GetApplicationTags(), func(t string) bool { return slices.Contains(tags, t) })
}

// kill says who did it, where the application's owner will look. Source: ClientRMService.forceKillApplication.
func (m *RM) kill(c *hadooptest.Call, req *pb.KillApplicationRequest, now time.Time) (*pb.KillApplicationResponse, error) {
	id := yarn.ApplicationIDFromPB(req.GetApplicationId())
	if err := m.access(c, id, modify, now); err != nil {
		return nil, err
	}
	why := "Application " + id.String() + " was killed by user " + user(c) + " at " + hostOf(m.doors[m.active].client.Addr())
	if d := strings.TrimSpace(req.GetDiagnostics()); d != "" {
		why += " with diagnostic message: " + d
	}
	done, err := m.core.Kill(id, why, now)
	return &pb.KillApplicationResponse{IsKillCompleted: &done}, err
}

func (m *RM) getAttempts(_ *hadooptest.Call, req *pb.GetApplicationAttemptsRequest, _ time.Time) (*pb.GetApplicationAttemptsResponse, error) {
	list, err := m.core.Attempts(yarn.ApplicationIDFromPB(req.GetApplicationId()))
	resp := &pb.GetApplicationAttemptsResponse{}
	for _, v := range list {
		resp.ApplicationAttempts = append(resp.ApplicationAttempts, attemptReport(v))
	}
	return resp, err
}

func (m *RM) getAttempt(_ *hadooptest.Call, req *pb.GetApplicationAttemptReportRequest, _ time.Time) (*pb.GetApplicationAttemptReportResponse, error) {
	v, err := m.core.Attempt(yarn.AttemptIDFromPB(req.GetApplicationAttemptId()))
	if err != nil {
		return nil, err
	}
	return &pb.GetApplicationAttemptReportResponse{ApplicationAttemptReport: attemptReport(v)}, nil
}

func (m *RM) failAttempt(c *hadooptest.Call, req *pb.FailApplicationAttemptRequest, now time.Time) (*pb.FailApplicationAttemptResponse, error) {
	id := yarn.AttemptIDFromPB(req.GetApplicationAttemptId())
	if err := m.access(c, id.App, modify, now); err != nil {
		return nil, err
	}
	return &pb.FailApplicationAttemptResponse{}, m.core.FailAttempt(id, now)
}

func (m *RM) getContainers(_ *hadooptest.Call, req *pb.GetContainersRequest, _ time.Time) (*pb.GetContainersResponse, error) {
	list, err := m.core.Containers(yarn.AttemptIDFromPB(req.GetApplicationAttemptId()))
	resp := &pb.GetContainersResponse{}
	for _, c := range list {
		resp.Containers = append(resp.Containers, m.containerReport(c))
	}
	return resp, err
}

func (m *RM) getContainer(_ *hadooptest.Call, req *pb.GetContainerReportRequest, _ time.Time) (*pb.GetContainerReportResponse, error) {
	c, err := m.core.Container(yarn.ContainerIDFromPB(req.GetContainerId()))
	if err != nil {
		return nil, err
	}
	return &pb.GetContainerReportResponse{ContainerReport: m.containerReport(c)}, nil
}

func (m *RM) signal(c *hadooptest.Call, req *pb.SignalContainerRequest, now time.Time) (*pb.SignalContainerResponse, error) {
	id := yarn.ContainerIDFromPB(req.GetContainerId())
	if err := m.access(c, id.Attempt.App, modify, now); err != nil {
		return nil, err
	}
	return &pb.SignalContainerResponse{}, m.core.Signal(id, req.GetCommand())
}

func (m *RM) move(c *hadooptest.Call, req *pb.MoveApplicationAcrossQueuesRequest, now time.Time) (*pb.MoveApplicationAcrossQueuesResponse, error) {
	id := yarn.ApplicationIDFromPB(req.GetApplicationId())
	if err := m.access(c, id, modify, now); err != nil {
		return nil, err
	}
	return &pb.MoveApplicationAcrossQueuesResponse{}, m.core.Move(id, req.GetTargetQueue())
}

func (m *RM) updatePriority(c *hadooptest.Call, req *pb.UpdateApplicationPriorityRequest, now time.Time) (*pb.UpdateApplicationPriorityResponse, error) {
	id := yarn.ApplicationIDFromPB(req.GetApplicationId())
	if err := m.access(c, id, modify, now); err != nil {
		return nil, err
	}
	p, err := m.core.SetPriority(id, req.GetApplicationPriority().GetPriority())
	return &pb.UpdateApplicationPriorityResponse{ApplicationPriority: priority(p)}, err
}

// iso8601 is how times of expiry travel. Source: Times.ISO8601_DATE_FORMAT.
const iso8601 = "2006-01-02T15:04:05.000-0700"

func (m *RM) updateTimeouts(c *hadooptest.Call, req *pb.UpdateApplicationTimeoutsRequest, now time.Time) (*pb.UpdateApplicationTimeoutsResponse, error) {
	id := yarn.ApplicationIDFromPB(req.GetApplicationId())
	if err := m.access(c, id, modify, now); err != nil {
		return nil, err
	}
	if len(req.GetApplicationTimeouts()) == 0 {
		return nil, &hadooptest.Exception{Class: yarnException, Message: "At least one ApplicationTimeoutType should be configured for updating timeouts."}
	}
	for _, t := range req.GetApplicationTimeouts() {
		at, err := time.Parse(iso8601, t.GetExpireTime())
		if err != nil {
			return nil, &hadooptest.Exception{Class: yarnException, Message: "Expire time is not in ISO8601 format. ISO8601 supported format is yyyy-MM-dd'T'HH:mm:ss.SSSZ"}
		}
		if err := m.core.SetLifetime(id, at, now); err != nil {
			return nil, err
		}
	}
	return &pb.UpdateApplicationTimeoutsResponse{ApplicationTimeouts: req.GetApplicationTimeouts()}, nil
}

func ms(t time.Time) *int64 {
	if t.IsZero() {
		return proto.Int64(0)
	}
	return proto.Int64(t.UnixMilli())
}

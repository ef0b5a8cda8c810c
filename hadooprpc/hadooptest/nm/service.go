package nm

import (
	"context"
	"errors"
	"path"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// handlers registers ContainerManagementProtocol. Source: ContainerManagerImpl (3.4.2).
func (n *Node) handlers(s *hadooptest.Server) {
	hadooptest.Handle(s, yarn.ContainerProtocol, "startContainers", n.startContainers)
	hadooptest.Handle(s, yarn.ContainerProtocol, "stopContainers", n.stopContainers)
	hadooptest.Handle(s, yarn.ContainerProtocol, "getContainerStatuses", n.containerStatuses)
	hadooptest.Handle(s, yarn.ContainerProtocol, "signalToContainer", n.signalToContainer)
	hadooptest.Handle(s, yarn.ContainerProtocol, "updateContainer", n.updateContainers)
	hadooptest.Handle(s, yarn.ContainerProtocol, "localize", n.localizeMore)
	hadooptest.Handle(s, yarn.ContainerProtocol, "getLocalizationStatuses", n.localizationStatuses)
	hadooptest.Handle(s, yarn.ContainerProtocol, "reInitializeContainer", n.reInitialize)
	hadooptest.Handle(s, yarn.ContainerProtocol, "restartContainer", n.restart)
	hadooptest.Handle(s, yarn.ContainerProtocol, "rollbackLastReInitialization", n.rollback)
	hadooptest.Handle(s, yarn.ContainerProtocol, "commitLastReInitialization", n.commit)
	for _, name := range []string{"increaseContainersResource"} {
		s.HandleFunc(yarn.ContainerProtocol, name, func(context.Context, *hadooptest.Call) (proto.Message, error) {
			return nil, refuse("%s is not supported by this NodeManager", name)
		})
	}
}

// failed says why one container of a call was refused.
func failed(id yarn.ContainerID, err error) *pb.ContainerExceptionMap {
	x := &hadooptest.Exception{Class: "java.io.IOException", Message: err.Error()}
	errors.As(err, &x)
	return &pb.ContainerExceptionMap{ContainerId: id.PB(), Exception: &pb.SerializedException{
		ClassName: &x.Class, Message: &x.Message, Trace: proto.String(x.Class + ": " + x.Message + "\n"),
	}}
}

func (n *Node) startContainers(_ context.Context, call *hadooptest.Call, req *pb.StartContainersRequest) (*pb.StartContainersResponse, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.registered {
		return nil, exception(notReadyException, "Rejecting new containers as NodeManager has not yet connected with ResourceManager")
	}
	resp := &pb.StartContainersResponse{}
	for _, r := range req.GetStartContainerRequest() {
		id, err := n.containerToken(r.GetContainerToken().GetPassword(), r.GetContainerToken().GetIdentifier())
		if err != nil {
			return nil, err // Hadoop, too, fails the whole call for a token that was not signed
		}
		cid := yarn.ContainerIDFromPB(id.GetContainerId())
		if err := n.startContainer(who, id, r.GetContainerLaunchContext()); err != nil {
			n.log.Info("container refused", "container", cid.String(), "err", err)
			resp.FailedRequests = append(resp.FailedRequests, failed(cid, err))
			continue
		}
		resp.SucceededRequests = append(resp.SucceededRequests, cid.PB())
	}
	return resp, nil
}

// startContainer checks one request and sets a container going, under mu.
func (n *Node) startContainer(who *pb.NMTokenIdentifier, id *pb.ContainerTokenIdentifier, launch *pb.ContainerLaunchContext) error {
	if err := n.authorize(who, id, true); err != nil {
		return err
	}
	if key, ok := n.keys.NM.Find(who.GetKeyId()); ok {
		n.attemptKeys[yarn.AttemptIDFromPB(who.GetAppAttemptId())] = key
	}
	cid, user := yarn.ContainerIDFromPB(id.GetContainerId()), id.GetAppSubmitter()
	if err := checkLaunch(launch); err != nil {
		return err
	}
	creds, err := credentials(launch)
	switch {
	case err != nil:
		return err
	case user == "" || user == "." || user == ".." || strings.Contains(user, "/"):
		return refuse("%q is no user name", user)
	case n.stopping:
		return refuse("Container start failed as the NodeManager is in the process of shutting down")
	case n.apps[cid.Attempt.App] != nil && n.apps[cid.Attempt.App].ended:
		return refuse("%s has ended on this node", cid.Attempt.App)
	}
	if f := n.faults.Refuse; f != nil {
		if err := f(cid); err != nil {
			return refuse("%s", err.Error())
		}
	}
	c := &container{
		id: cid, token: id, creds: creds, user: user, created: time.UnixMilli(id.GetCreationTime()), finished: make(chan struct{}), turn: make(chan struct{}),
		resource: id.GetResource(), version: id.GetVersion(), launch: launch, exit: yarn.ExitInvalid, localized: map[string]*localization{},
	}
	for _, f := range launch.GetLocalResources() {
		c.localized[f.GetKey()] = &localization{state: pb.LocalizationState_L_PENDING}
	}
	c.ctx, c.cancel = context.WithCancel(n.ctx)
	n.containers[cid], n.started[cid] = c, true
	n.newApp(c)
	n.wg.Go(func() { n.run(c) })
	return nil
}

func checkLaunch(l *pb.ContainerLaunchContext) error {
	for _, s := range l.GetServiceData() {
		return exception(serviceException, "The auxService:%s does not exist", s.GetKey())
	}
	for _, f := range l.GetLocalResources() {
		switch r := f.GetValue(); {
		case r.GetResource() == nil:
			return refuse("Null resource URL for local resource %s : %v", f.GetKey(), r)
		case r.Type == nil:
			return refuse("Null resource type for local resource %s : %v", f.GetKey(), r)
		case r.Visibility == nil:
			return refuse("Null resource visibility for local resource %s : %v", f.GetKey(), r)
		case path.Clean("/"+r.GetResource().GetFile()) == "/":
			return refuse("local resource %s has no path", f.GetKey())
		}
	}
	return nil
}

// known finds a container for a caller, under mu.
func (n *Node) known(who *pb.NMTokenIdentifier, m *pb.ContainerId, stop bool) (*container, error) {
	id := yarn.ContainerIDFromPB(m)
	if err := mayUse(who, id, stop); err != nil {
		return nil, err
	}
	c := n.containers[id]
	switch {
	case c != nil:
		return c, nil
	case n.started[id] && stop:
		return nil, nil
	case n.started[id]:
		return nil, refuse("Container %s was recently stopped on node manager.", id)
	}
	return nil, refuse("Container %s is not handled by this NodeManager", id)
}

func (n *Node) stopContainers(_ context.Context, call *hadooptest.Call, req *pb.StopContainersRequest) (*pb.StopContainersResponse, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	resp := &pb.StopContainersResponse{}
	for _, m := range req.GetContainerId() {
		c, err := n.known(who, m, true)
		if err != nil {
			resp.FailedRequests = append(resp.FailedRequests, failed(yarn.ContainerIDFromPB(m), err))
			continue
		}
		if c != nil {
			n.kill(c, yarn.ExitKilledByAppMaster, "Container killed by the ApplicationMaster.")
		}
		resp.SucceededRequests = append(resp.SucceededRequests, m)
	}
	return resp, nil
}

func (n *Node) containerStatuses(_ context.Context, call *hadooptest.Call, req *pb.GetContainerStatusesRequest) (*pb.GetContainerStatusesResponse, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	resp := &pb.GetContainerStatusesResponse{}
	for _, m := range req.GetContainerId() {
		c, err := n.known(who, m, false)
		if err != nil {
			resp.FailedRequests = append(resp.FailedRequests, failed(yarn.ContainerIDFromPB(m), err))
			continue
		}
		resp.Status = append(resp.Status, c.status(n.id.Host))
	}
	return resp, nil
}

func (n *Node) signalToContainer(_ context.Context, call *hadooptest.Call, req *pb.SignalContainerRequest) (*pb.SignalContainerResponse, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	id := yarn.ContainerIDFromPB(req.GetContainerId())
	if err := mayUse(who, id, false); err != nil {
		return nil, err
	}
	if c := n.containers[id]; c != nil {
		n.signal(c, req.GetCommand())
	}
	return &pb.SignalContainerResponse{}, nil // one that is not there is no error to Hadoop
}

// signal delivers a signal to a container's processes, under mu. Source: ContainerLaunch.translateCommandToSignal.
func (n *Node) signal(c *container, cmd pb.SignalContainerCommand) {
	if c.proc == nil {
		return
	}
	switch cmd {
	case pb.SignalContainerCommand_OUTPUT_THREAD_DUMP:
		c.proc.Signal(syscall.SIGQUIT)
	case pb.SignalContainerCommand_GRACEFUL_SHUTDOWN:
		c.proc.Signal(syscall.SIGTERM)
	case pb.SignalContainerCommand_FORCEFUL_SHUTDOWN:
		c.proc.Signal(syscall.SIGKILL)
	}
}

package nm

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// updateContainers puts new sizes into force. Source: ContainerManagerImpl.updateContainer.
func (n *Node) updateContainers(_ context.Context, call *hadooptest.Call, req *pb.UpdateContainersRequest) (*pb.UpdateContainersResponse, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	resp := &pb.UpdateContainersResponse{}
	for _, t := range req.GetUpdateContainerToken() {
		id, err := n.containerToken(t.GetPassword(), t.GetIdentifier())
		if err != nil {
			return nil, err
		}
		cid := yarn.ContainerIDFromPB(id.GetContainerId())
		if err = n.authorize(who, id, false); err == nil {
			err = n.resize(who, id)
		}
		if err != nil {
			resp.FailedRequests = append(resp.FailedRequests, failed(cid, err))
			continue
		}
		resp.SucceededRequests = append(resp.SucceededRequests, cid.PB())
	}
	return resp, nil
}

func (n *Node) resize(who *pb.NMTokenIdentifier, id *pb.ContainerTokenIdentifier) error {
	c, err := n.known(who, id.GetContainerId(), false)
	switch {
	case err != nil:
		return err
	case c.phase != running || c.killed:
		return refuse("Container %s is not in RUNNING state. Resource can only be changed when a container is in RUNNING state", c.id)
	case id.GetVersion() <= c.version:
		return refuse("Container %s has update version [%d] >= requested version [%d]", c.id, c.version, id.GetVersion())
	}
	c.resource, c.version = id.GetResource(), id.GetVersion()
	return nil
}

// changeable finds a running container whose command may be replaced now, under mu. Source:
// ContainerManagerImpl.preReInitializeOrLocalizeCheck.
func (n *Node) changeable(call *hadooptest.Call, m *pb.ContainerId, op string) (*container, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	id := yarn.ContainerIDFromPB(m)
	if err := mayUse(who, id, true); err != nil {
		return nil, err
	}
	c := n.containers[id]
	switch {
	case c == nil:
		return nil, refuse("Specified %s does not exist!", id)
	case c.phase != running || c.killed || c.next != nil:
		return nil, refuse("Container [%s] cannot be [%s] now: running=%t, isReInitializing=%t", id, op, c.phase == running && !c.killed, c.next != nil)
	}
	return c, nil
}

// replaceWith ends the present process and has the next launched, under mu.
func (n *Node) replaceWith(c *container, next *pb.ContainerLaunchContext) {
	c.next = next
	if c.proc != nil {
		n.terminate(c.proc, c.finished)
	}
}

func (n *Node) restart(_ context.Context, call *hadooptest.Call, id *pb.ContainerId) (*pb.RestartContainerResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.changeable(call, id, "RESTART")
	if err != nil {
		return nil, err
	}
	n.replaceWith(c, c.launch)
	return &pb.RestartContainerResponse{}, nil
}

func (n *Node) reInitialize(_ context.Context, call *hadooptest.Call, req *pb.ReInitializeContainerRequest) (*pb.ReInitializeContainerResponse, error) {
	n.mu.Lock()
	c, err := n.changeable(call, req.GetContainerId(), "RE_INIT")
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	next := proto.CloneOf(c.launch)
	if req.ContainerLaunchContext != nil {
		next = req.GetContainerLaunchContext()
		if err := checkLaunch(next); err != nil {
			return nil, err
		}
	}
	for _, f := range next.GetLocalResources() {
		if err := n.localize(c, f); err != nil {
			return nil, refuse("%s", err.Error()) // Hadoop goes on with the old command, and says nothing
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if c, err = n.changeable(call, req.GetContainerId(), "RE_INIT"); err != nil {
		return nil, err
	}
	c.previous, c.autoDone = c.launch, req.GetAutoCommit()
	n.replaceWith(c, next)
	return &pb.ReInitializeContainerResponse{}, nil
}

func (n *Node) rollback(_ context.Context, call *hadooptest.Call, id *pb.ContainerId) (*pb.RollbackResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.changeable(call, id, "ROLLBACK")
	if err != nil {
		return nil, err
	}
	if c.previous == nil {
		return nil, refuse("Nothing to rollback to for container [%s]", c.id)
	}
	next := c.previous
	c.previous = nil
	n.replaceWith(c, next)
	return &pb.RollbackResponse{}, nil
}

func (n *Node) commit(_ context.Context, call *hadooptest.Call, id *pb.ContainerId) (*pb.CommitResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.changeable(call, id, "COMMIT")
	if err != nil {
		return nil, err
	}
	if c.previous == nil {
		return nil, refuse("Nothing to Commit !!")
	}
	c.previous = nil
	return &pb.CommitResponse{}, nil
}

// localizeMore brings further files into a running container. The answer does not wait for them.
func (n *Node) localizeMore(_ context.Context, call *hadooptest.Call, req *pb.ResourceLocalizationRequest) (*pb.ResourceLocalizationResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.changeable(call, req.GetContainerId(), "LOCALIZE")
	if err != nil {
		return nil, err
	}
	if err := checkLaunch(&pb.ContainerLaunchContext{LocalResources: req.GetLocalResources()}); err != nil {
		return nil, err
	}
	for _, f := range req.GetLocalResources() {
		c.localized[f.GetKey()] = &localization{state: pb.LocalizationState_L_PENDING}
	}
	n.wg.Go(func() {
		for _, f := range req.GetLocalResources() {
			if err := n.localizeLinked(c, f); err != nil {
				n.log.Info("localize failed", "container", c.id.String(), "file", f.GetKey(), "err", err)
			}
		}
	})
	return &pb.ResourceLocalizationResponse{}, nil
}

// localizeLinked localizes a file and links it into the working directory of a running container.
func (n *Node) localizeLinked(c *container, f *pb.StringLocalResourceMap) error {
	if err := n.localize(c, f); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(c.links, func(l link) bool { return l.name == f.GetKey() })
	root, err := os.OpenRoot(n.WorkDir(c.user, c.id))
	if err == nil {
		defer root.Close()
		if err = mkdir(root, filepath.Dir(f.GetKey()), 0o755); err == nil {
			root.Remove(f.GetKey())
			err = root.Symlink(c.links[i].target, f.GetKey())
		}
	}
	if err != nil {
		c.localized[f.GetKey()] = &localization{state: pb.LocalizationState_L_FAILED, diag: err.Error()}
	}
	return err
}

func (n *Node) localizationStatuses(_ context.Context, call *hadooptest.Call, req *pb.GetLocalizationStatusesRequest) (*pb.GetLocalizationStatusesResponse, error) {
	who, err := caller(call)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	resp := &pb.GetLocalizationStatusesResponse{}
	for _, m := range req.GetContainerId() {
		c, err := n.known(who, m, false)
		if err != nil {
			resp.FailedRequests = append(resp.FailedRequests, failed(yarn.ContainerIDFromPB(m), err))
			continue
		}
		out := &pb.ContainerLocalizationStatuses{ContainerId: m}
		for key, l := range c.localized {
			out.LocalizationStatuses = append(out.LocalizationStatuses, &pb.LocalizationStatus{
				ResourceKey: proto.String(key), LocalizationState: l.state.Enum(), Diagnostics: proto.String(l.diag)})
		}
		resp.CntnLocalizationStatuses = append(resp.CntnLocalizationStatuses, out)
	}
	return resp, nil
}

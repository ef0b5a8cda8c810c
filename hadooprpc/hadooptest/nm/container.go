package nm

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// phase is how far a container is. Source: the states of ContainerImpl (3.4.2), of which these are the ones that can
// be told apart from outside.
type phase uint8

const (
	// localizing: its files are being fetched, or it waits for that, or for room.
	localizing phase = iota
	// running: the command was launched.
	running
	// completing: the command has ended, or will never run; directories are being removed.
	completing
	// done: nothing is left but the entry in the books, until the ResourceManager has acknowledged the end.
	done
)

// container is one container. What follows mu's name in Node guards all that is not said to be fixed.
type container struct {
	// Fixed.
	id       yarn.ContainerID
	token    *pb.ContainerTokenIdentifier
	creds    *token.Credentials
	user     string
	created  time.Time
	ctx      context.Context // ends when it is to be stopped
	cancel   context.CancelFunc
	finished chan struct{} // closed when done
	turn     chan struct{} // closed when it may run

	phase    phase
	resource *pb.Resource
	version  int32
	launch   *pb.ContainerLaunchContext
	links    []link // localized files
	proc     Process
	exit     yarn.ExitStatus
	killed   bool // an end was ordered; exit is its reason
	diag     []byte
	count    counters
	retries  int32

	localized map[string]*localization // by link name, for getLocalizationStatuses

	// Of reInitialize, restart and rollback.
	next     *pb.ContainerLaunchContext // to be launched when the present process has ended; until it is no other change is taken
	previous *pb.ContainerLaunchContext // what rollback goes back to
	autoDone bool                       // commit once next runs
}

type localization struct {
	state pb.LocalizationState
	diag  string
}

// maxDiagnostics is yarn.nodemanager.container-diagnostics-maximum-size's default.
const maxDiagnostics = 10000

// say adds to the diagnostics, as ContainerImpl.addDiagnostics does, under Node.mu.
func (c *container) say(format string, args ...any) {
	c.diag = fmt.Appendf(c.diag, "[%s]%s", time.Now().Format("2006-01-02 15:04:05.000"), fmt.Sprintf(format, args...))
	if n := len(c.diag) - maxDiagnostics; n > 0 {
		c.diag = c.diag[n:]
	}
}

// status is what getContainerStatuses tells, under Node.mu.
func (c *container) status(host string) *pb.ContainerStatus {
	state, sub := pb.ContainerState_C_RUNNING, pb.ContainerSubState_CSS_SCHEDULED
	switch {
	case c.phase == done:
		state, sub = pb.ContainerState_C_COMPLETE, pb.ContainerSubState_CSS_DONE
	case c.phase == completing || c.killed:
		sub = pb.ContainerSubState_CSS_COMPLETING
	case c.phase == running:
		sub = pb.ContainerSubState_CSS_RUNNING
	}
	return &pb.ContainerStatus{
		ContainerId: c.id.PB(), State: state.Enum(), ContainerSubState: sub.Enum(), Capability: c.resource,
		Diagnostics: proto.String(strings.ToValidUTF8(string(c.diag), "\ufffd")), ExitStatus: proto.Int32(int32(c.exit)),
		ExecutionType:       c.token.ExecutionType,
		ContainerAttributes: []*pb.StringStringMap{{Key: proto.String("IP"), Value: &host}, {Key: proto.String("HOST"), Value: &host}},
	}
}

// report is what heartbeats tell, under Node.mu.
func (c *container) report() tracker.Container {
	r := tracker.Container{
		ID: c.id, State: tracker.Running, Exit: c.exit, Diagnostics: strings.ToValidUTF8(string(c.diag), "\ufffd"),
		Resource: resourceOf(c.resource), Priority: c.token.GetPriority().GetPriority(),
		RequestID: c.token.GetAllocationRequestId(), Execution: c.token.GetExecutionType(), Created: c.created,
	}
	if c.phase == done {
		r.State = tracker.Complete
	}
	return r
}

func resourceOf(r *pb.Resource) tracker.Resource {
	out := tracker.Resource{MemoryMiB: r.GetMemory(), VCores: r.GetVirtualCores()}
	for _, x := range r.GetResourceValueMap() {
		if x.GetKey() != yarn.Memory && x.GetKey() != yarn.Vcores {
			if out.Others == nil {
				out.Others = map[string]int64{}
			}
			out.Others[x.GetKey()] = yarn.Amount(r, x.GetKey())
		}
	}
	return out
}

// Directories, below those of the options. Sources: ContainerLocalizer, ResourceLocalizationService (3.4.2).

func userCache(local, user string) string { return filepath.Join(local, "usercache", user) }

func appCache(local, user string, app yarn.ApplicationID) string {
	return filepath.Join(userCache(local, user), "appcache", app.String())
}

func (n *Node) appLogs(logs string, app yarn.ApplicationID) string {
	return filepath.Join(logs, app.String())
}

// WorkDir is a container's working directory, while it has one.
func (n *Node) WorkDir(user string, id yarn.ContainerID) string {
	return filepath.Join(appCache(n.opt.LocalDirs[0], user, id.Attempt.App), id.String())
}

// LogDir is where a container's logs are, until they are aggregated or removed.
func (n *Node) LogDir(id yarn.ContainerID) string {
	return filepath.Join(n.appLogs(n.opt.LogDirs[0], id.Attempt.App), id.String())
}

// cacheRoot is the directory below which a resource is cached.
func (n *Node) cacheRoot(c *container, v pb.LocalResourceVisibility) string {
	local := n.opt.LocalDirs[0]
	switch v {
	case pb.LocalResourceVisibility_PUBLIC:
		return filepath.Join(local, "filecache")
	case pb.LocalResourceVisibility_PRIVATE:
		return filepath.Join(userCache(local, c.user), "filecache")
	}
	return filepath.Join(appCache(local, c.user, c.id.Attempt.App), "filecache")
}

// kill orders a container's end, under n.mu: SIGTERM now, SIGKILL after the delay. The first reason given counts.
func (n *Node) kill(c *container, why yarn.ExitStatus, text string) {
	if c.killed || c.phase >= completing {
		return
	}
	c.killed, c.exit, c.next = true, why, nil
	c.say("%s\n", text)
	if c.phase == localizing {
		c.say("Container is killed before being launched.\n")
	}
	c.cancel()
	if c.proc != nil {
		n.terminate(c.proc, c.finished)
	}
}

// terminate signals a process twice. Source: ContainerLaunch.cleanupContainer, DelayedProcessKiller.
func (n *Node) terminate(p Process, ended <-chan struct{}) {
	p.Signal(syscall.SIGTERM)
	n.wg.Go(func() {
		t := time.NewTimer(n.opt.KillDelay)
		defer t.Stop()
		select {
		case <-t.C:
			p.Signal(syscall.SIGKILL)
		case <-ended:
		}
	})
}

package yarntest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func testContainerMemoryLimit(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, time.Minute)
	u := s.startUnmanaged(t, ctx, c)
	if _, err := u.am.Register(ctx, "localhost", -1, ""); err != nil {
		t.Fatal(err)
	}
	con := u.obtain(t, ctx, 1, 64)[0]
	id, _, _ := u.start(t, ctx, con, command("head -c 300000000 /dev/zero | tail -c 300000000 | sleep 60"))
	if got := u.ended(t, ctx, id); got != yarn.ExitExceededPmem || !got.AppFault() {
		t.Errorf("ended with %v", got)
	}
}

func testLocalizeReinitializeAndResize(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, 90*time.Second)
	fs, err := hdfs.Open(ctx, s.conf, "", hdfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	name := fmt.Sprintf("%s/hadooprpc-test-%d", fs.Home(), os.Getpid())
	info, err := hdfs.WriteFile(ctx, fs, name, []byte("a file\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Remove(context.WithoutCancel(ctx), name)
	resource := func(link string) []*pb.StringLocalResourceMap {
		return []*pb.StringLocalResourceMap{{Key: proto.String(link), Value: &pb.LocalResource{
			Resource: urlOf(t, fs, name), Size: proto.Int64(info.Length), Timestamp: proto.Int64(info.ModTimeMs),
			Type: pb.LocalResourceType_FILE.Enum(), Visibility: pb.LocalResourceVisibility_APPLICATION.Enum(),
		}}}
	}
	u := s.startUnmanaged(t, ctx, c)
	if _, err := u.am.Register(ctx, "localhost", -1, ""); err != nil {
		t.Fatal(err)
	}
	con, roll := u.obtain(t, ctx, 1, 128)[0], s.rollcall(t)
	launch := roll.command("test -s first && ", "sleep 300")
	launch.LocalResources = resource("first")
	launch.Environment = []*pb.StringStringMap{{Key: proto.String("HADOOP_USER_NAME"), Value: proto.String(ipc.DefaultUser())}}
	id, node, tok := u.start(t, ctx, con, launch)
	counted := func() bool {
		st, _, err := u.nm.ContainerStatuses(ctx, node, tok, id)
		if err != nil || len(st) != 1 {
			t.Fatal(st, err)
		}
		if st[0].GetState() == pb.ContainerState_C_COMPLETE {
			t.Fatalf("ended: %v %s", yarn.ExitStatus(st[0].GetExitStatus()), st[0].GetDiagnostics())
		}
		return st[0].GetContainerSubState() == pb.ContainerSubState_CSS_RUNNING
	}
	running := func(what string) {
		t.Helper()
		roll.heard(t, ctx, 1)
		waitFor(t, ctx, what, counted)
	}
	running("running container")

	if err := u.nm.Localize(ctx, node, tok, id, resource("second")); err != nil {
		t.Errorf("localize: %v", err)
	}
	waitFor(t, ctx, "second file", func() bool {
		st, failed, err := u.nm.LocalizationStatuses(ctx, node, tok, id)
		if err != nil || len(failed) > 0 || len(st) != 1 {
			t.Fatal(st, failed, err)
		}
		for _, s := range st[0].GetLocalizationStatuses() {
			if s.GetResourceKey() == "second" {
				return s.GetLocalizationState() == pb.LocalizationState_L_COMPLETED
			}
		}
		return false
	})
	// This one does not look at its file: 3.4.2 was seen to restart a container just after a commit without its links.
	again := roll.command("", "sleep 301")
	again.LocalResources, again.Environment = resource("first"), launch.Environment
	if err := u.nm.ReInitialize(ctx, node, tok, id, again, false); err != nil {
		t.Fatalf("reinitialize: %v", err)
	}
	running("restart after reinitialize")
	// While the old process is being killed the container still counts as running, and further changes are refused.
	once := func(what string, f func() error) {
		t.Helper()
		waitFor(t, ctx, what, func() bool {
			err := f()
			if err != nil && !strings.Contains(err.Error(), "isReInitializing=true") {
				t.Fatalf("%s: %v", what, err)
			}
			return err == nil
		})
	}
	once("rollback", func() error { return u.nm.Rollback(ctx, node, tok, id) })
	running("restart after rollback")
	once("second reinitialize", func() error { return u.nm.ReInitialize(ctx, node, tok, id, again, false) })
	running("restart after reinitialize")
	once("commit", func() error { return u.nm.Commit(ctx, node, tok, id) })
	once("restart", func() error { return u.nm.Restart(ctx, node, tok, id) })
	running("restart")
	u.resize(t, ctx, con)
}

// resize grows a container: asked of the scheduler, put into force at the node with the token that comes back.
func (u *unmanaged) resize(t *testing.T, ctx context.Context, con *pb.Container) {
	req := &pb.AllocateRequest{UpdateRequests: []*pb.UpdateContainerRequest{{
		ContainerVersion: proto.Int32(con.GetVersion()), ContainerId: con.GetId(),
		UpdateType: pb.ContainerUpdateType_INCREASE_RESOURCE.Enum(), Capability: yarn.NewResource(256, 1, nil),
	}}}
	resp := u.allocate(t, ctx, req)
	waitFor(t, ctx, "updated container", func() bool {
		if len(resp.GetUpdateErrors()) > 0 {
			t.Fatal(resp.GetUpdateErrors())
		}
		if len(resp.GetUpdatedContainers()) == 0 {
			resp = u.allocate(t, ctx, &pb.AllocateRequest{})
		}
		return len(resp.GetUpdatedContainers()) > 0
	})
	grown := resp.GetUpdatedContainers()[0].GetContainer()
	node := yarn.NodeIDFromPB(con.GetNodeId())
	res, err := u.nm.UpdateContainers(ctx, node, u.tokens[node], grown.GetContainerToken())
	if err != nil || len(res.Failed) > 0 || len(res.Succeeded) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	id := yarn.ContainerIDFromPB(con.GetId())
	waitFor(t, ctx, "larger container", func() bool {
		st, _, err := u.nm.ContainerStatuses(ctx, node, u.tokens[node], id)
		return err == nil && len(st) == 1 && st[0].GetCapability().GetMemory() == 256
	})
}

// urlOf is a file's URL in YARN's form.
func urlOf(t *testing.T, fs hdfs.FS, name string) *pb.URL {
	t.Helper()
	raw, err := fs.URL(name)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := &pb.URL{Scheme: proto.String(u.Scheme), File: proto.String(u.Path)}
	if u.Host != "" {
		out.Host = proto.String(u.Hostname())
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		out.Port = proto.Int32(int32(port))
	}
	return out
}

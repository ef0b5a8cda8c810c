package nm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

var (
	testApp     = yarn.ApplicationID{ClusterTimestamp: 1700000000000, ID: 12345}
	testAttempt = yarn.AttemptID{App: testApp, Attempt: 1}
)

func cid(n int64) yarn.ContainerID { return yarn.ContainerID{Attempt: testAttempt, ID: n} }

// testRM is as much of a ResourceManager as a node needs.
type testRM struct {
	mu         sync.Mutex
	keys       tracker.Keys
	identifier int64
	nodes      []tracker.Node // registrations
	beats      int
	last       tracker.Heartbeat
	orders     tracker.Orders // for the next heartbeat
	down, deaf bool           // deaf: acknowledges nothing
	refuse     error
	ends       map[yarn.ContainerID]tracker.Container
}

func newRM() *testRM {
	rm := &testRM{identifier: 42, ends: map[yarn.ContainerID]tracker.Container{}}
	rm.keys.Container.Roll()
	rm.keys.NM.Roll()
	return rm
}

func (rm *testRM) RegisterNode(n tracker.Node) (tracker.Registered, error) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	if rm.down {
		return tracker.Registered{}, tracker.ErrDown
	}
	if rm.refuse != nil {
		return tracker.Registered{}, rm.refuse
	}
	rm.nodes = append(rm.nodes, n)
	return tracker.Registered{RMIdentifier: rm.identifier, Keys: rm.keys}, nil
}

func (rm *testRM) Heartbeat(h tracker.Heartbeat) (tracker.Orders, error) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	if rm.down {
		return tracker.Orders{}, tracker.ErrDown
	}
	o := rm.orders
	rm.orders = tracker.Orders{}
	rm.beats++
	rm.last = h
	for _, c := range h.Containers {
		if c.State == tracker.Complete && !rm.deaf {
			rm.ends[c.ID] = c
			o.Acknowledged = append(o.Acknowledged, c.ID)
		}
	}
	return o, nil
}

func (rm *testRM) order(o tracker.Orders) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	rm.orders = o
}

func locked[T any](rm *testRM, f func() T) T {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	return f()
}

// bench is a node, its ResourceManager, and a client of the application master's kind.
type bench struct {
	*Node
	t   *testing.T
	rm  *testRM
	cl  *yarn.NMClient
	ctx context.Context
}

func newBench(t *testing.T, change ...func(*Options)) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	rm := newRM()
	o := Options{RM: rm, Dir: t.TempDir(), Heartbeat: 5 * time.Millisecond}
	for _, f := range change {
		f(&o)
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{n, t, rm, yarn.NewNMClient(ipc.Options{}), ctx}
	t.Cleanup(func() {
		b.cl.Close()
		n.Close()
		noProcesses(t, n.opt.LocalDirs[0])
	})
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// attach gives a bench without New's help what else it needs.
func (b *bench) attach() {
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	b.cl = yarn.NewNMClient(ipc.Options{})
	b.t.Cleanup(func() { cancel(); b.cl.Close(); b.Close() })
}

// noProcesses wants no process whose working directory is, or was, below dir.
func noProcesses(t *testing.T, dir string) {
	t.Helper()
	for _, s := range survivors(dir) {
		t.Error(s)
	}
}

func survivors(dir string) []string {
	var out []string
	for _, p := range processes() {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid))
		if err == nil && strings.HasPrefix(cwd, dir+"/") && p.state != 'Z' {
			out = append(out, fmt.Sprintf("process %d (%s) survives in %s", p.pid, p.name, cwd))
		}
	}
	return out
}

func (b *bench) nmToken() token.Token { return b.nmTokenOf(testAttempt) }

func (b *bench) nmTokenOf(a yarn.AttemptID) token.Token {
	key := locked(b.rm, func() tracker.Key { return b.rm.keys.NM.Current })
	id, err := proto.Marshal(&pb.NMTokenIdentifier{AppAttemptId: a.PB(), NodeId: b.ID().PB(), AppSubmitter: proto.String("alice"), KeyId: &key.ID})
	if err != nil {
		b.t.Fatal(err)
	}
	return token.Token{Identifier: id, Password: key.Password(id), Kind: token.KindNM}
}

// container signs an allocation.
func (b *bench) container(id yarn.ContainerID, change ...func(*pb.ContainerTokenIdentifier)) *pb.Container {
	key := locked(b.rm, func() tracker.Key { return b.rm.keys.Container.Current })
	t := &pb.ContainerTokenIdentifier{
		ContainerId: id.PB(), NmHostAddr: proto.String(b.ID().String()), AppSubmitter: proto.String("alice"), Resource: yarn.NewResource(64, 1, nil),
		ExpiryTimeStamp: proto.Int64(time.Now().Add(time.Minute).UnixMilli()), MasterKeyId: &key.ID,
		RmIdentifier: proto.Int64(42), CreationTime: proto.Int64(time.Now().UnixMilli()),
	}
	for _, f := range change {
		f(t)
	}
	raw, err := proto.Marshal(t)
	if err != nil {
		b.t.Fatal(err)
	}
	return &pb.Container{Id: id.PB(), ContainerToken: yarn.TokenToPB(token.Token{Identifier: raw, Password: key.Password(raw), Kind: token.KindContainer})}
}

func command(c string) *pb.ContainerLaunchContext {
	return &pb.ContainerLaunchContext{Command: []string{c}}
}

func (b *bench) start(id yarn.ContainerID, l *pb.ContainerLaunchContext, change ...func(*pb.ContainerTokenIdentifier)) {
	b.t.Helper()
	if err := b.cl.StartContainer(b.ctx, b.ID(), b.nmToken(), b.container(id, change...), l); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) status(id yarn.ContainerID) *pb.ContainerStatus {
	b.t.Helper()
	st, bad, err := b.cl.ContainerStatuses(b.ctx, b.ID(), b.nmToken(), id)
	if err != nil || len(st) != 1 {
		b.t.Fatal(st, bad, err)
	}
	return st[0]
}

func (b *bench) eventually(what string, f func() bool) {
	b.t.Helper()
	for !f() {
		select {
		case <-b.ctx.Done():
			b.t.Fatalf("no %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// running waits until a container's command runs, by a file that it makes.
func (b *bench) running(id yarn.ContainerID, file string) {
	b.t.Helper()
	b.eventually("running "+id.String(), func() bool {
		_, err := os.Stat(filepath.Join(b.WorkDir("alice", id), file))
		return err == nil
	})
}

// ended waits until the ResourceManager has heard of a container's end.
func (b *bench) ended(id yarn.ContainerID) tracker.Container {
	b.t.Helper()
	var c tracker.Container
	b.eventually("end of "+id.String(), func() bool {
		return locked(b.rm, func() bool { var ok bool; c, ok = b.rm.ends[id]; return ok })
	})
	return c
}

// run starts a container and waits for its end.
func (b *bench) runs(id yarn.ContainerID, l *pb.ContainerLaunchContext) tracker.Container {
	b.t.Helper()
	b.start(id, l)
	return b.ended(id)
}

func (b *bench) log(id yarn.ContainerID, name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.LogDir(id), name))
	if err != nil {
		b.t.Error(err)
	}
	return string(text)
}

// resource describes a file on this machine.
func resource(t *testing.T, link, path string, change ...func(*pb.LocalResource)) *pb.StringLocalResourceMap {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &pb.LocalResource{
		Resource: &pb.URL{Scheme: proto.String("file"), File: &path, Port: proto.Int32(-1)}, Size: proto.Int64(st.Size()), Timestamp: proto.Int64(st.ModTime().UnixMilli()),
		Type: pb.LocalResourceType_FILE.Enum(), Visibility: pb.LocalResourceVisibility_APPLICATION.Enum(),
	}
	for _, f := range change {
		f(r)
	}
	return &pb.StringLocalResourceMap{Key: &link, Value: r}
}

package yarn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/providertest"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
)

// patience is long: others may use the cluster.
const patience = 2 * time.Minute

// onCluster runs, on the cluster that the environment's configuration names, what
// holds on any: the embedded one and real ones. The application master is this
// process: an unmanaged one, which needs no container of its own.
func onCluster(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Provider", testProvider},
		{"AskToAllocated", testAskToAllocated},
		{"UnknownResource", testUnknownResource},
		{"TooLarge", testTooLarge},
		{"CrashLoopOnTheCluster", testCrashLoopOnTheCluster},
	} {
		t.Run(test.name, test.run)
	}
}

type site struct {
	conf  *conf.Conf
	addrs hadoop.Addresses
	fs    hdfs.FS
	rm    *hadoop.Client
}

func newSite(t *testing.T) *site {
	t.Helper()
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := hadoop.AddressesFromConf(c)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := hdfs.Open(t.Context(), c, "", hdfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{conf: c, addrs: addrs, fs: fs, rm: hadoop.NewClient(hadoop.Options{Addresses: addrs.Client})}
	t.Cleanup(func() { s.rm.Close(); fs.Close() })
	return s
}

// upload puts a local file into HDFS for the length of a test.
func (s *site) upload(t *testing.T, name, from, to string) spec.File {
	t.Helper()
	if err := s.fs.MkdirAll(t.Context(), path.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	info, err := hdfs.Upload(t.Context(), s.fs, to, src, hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{Perm: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.fs.URL(to)
	if err != nil {
		t.Fatal(err)
	}
	return spec.File{Name: name, URL: u, Size: info.Length, ModTime: info.ModTimeMs, Visibility: spec.Private}
}

// master submits an unmanaged application and returns what its master needs.
func (s *site) master(t *testing.T) Options {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	app, err := s.rm.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.rm.SubmitAndWait(ctx, &pb.ApplicationSubmissionContext{
		ApplicationId: app.ID.PB(), ApplicationName: proto.String("provider test"), Queue: proto.String("default"),
		ApplicationType: proto.String("YARND-TEST"), Priority: &pb.Priority{Priority: proto.Int32(0)}, UnmanagedAm: proto.Bool(true),
		MaxAppAttempts: proto.Int32(1), Resource: hadoop.NewResource(128, 1, nil), AmContainerSpec: &pb.ContainerLaunchContext{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.rm.KillAndWait(ctx, app.ID, "test ended"); err != nil {
			t.Error(err)
		}
	})
	for {
		rep, err := s.rm.Report(ctx, app.ID)
		if err != nil {
			t.Fatal(err)
		}
		if rep.AmRmToken != nil {
			creds := &token.Credentials{}
			creds.Add("amrm", hadoop.TokenFromPB(rep.AmRmToken))
			return Options{Scheduler: s.addrs.Scheduler, Client: s.addrs.Client, Credentials: creds, User: ipc.DefaultUser()}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func testProvider(t *testing.T) {
	s := newSite(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.fs.Home() + "/.provider-test-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() {
		if err := s.fs.RemoveAll(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	data := filepath.Join(t.TempDir(), "data.txt")
	if err := os.WriteFile(data, []byte("some data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	providertest.Run(t, providertest.Factory{
		New: func(t *testing.T) provider.Provider {
			o := s.master(t)
			if testing.Verbose() {
				o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
			}
			p, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Program: s.upload(t, "yarnd", self, dir+"/program"), Data: s.upload(t, "data.txt", data, dir+"/data.txt"),
		MemoryMiB: 128, EnforcesMemory: true, Patience: patience,
	})
}

// Measured, not judged by time: the ResourceManager allocates when a node manager's
// heartbeat comes, each second, so the figure depends on where between two of them
// the ask falls. Asks one right after the other all fall at the same place.
func testAskToAllocated(t *testing.T) {
	s := newSite(t)
	p, err := New(s.master(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	pool := spec.Pool{Name: "w", Role: spec.RoleWorker, Resource: spec.Resource{VCores: 1, MemoryMiB: 128}}
	if _, err := p.Register(t.Context(), provider.Registration{Host: "localhost", Port: 1, Pools: []spec.Pool{pool}}); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	seen := map[string]bool{}
	for i := range 5 {
		began := time.Now()
		p.Ask("w", 2, 2*i)
		var ids []string
		for len(ids) < 2 {
			select {
			case ev := <-p.Events():
				if a, ok := ev.(reconcile.Allocated); ok {
					if seen[a.ID] {
						t.Fatalf("%s was allocated twice", a.ID)
					}
					seen[a.ID] = true
					ids = append(ids, a.ID)
				}
			case <-time.After(patience):
				t.Fatal("no containers")
			}
		}
		took = append(took, time.Since(began))
		for _, id := range ids {
			p.Release(id)
		}
	}
	slices.Sort(took)
	t.Logf("asked to allocated, two containers: %v", took)
}

// Pools that the cluster cannot have are refused, and say so.
func testUnknownResource(t *testing.T) {
	s := newSite(t)
	p, err := New(s.master(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	pool := spec.Pool{Name: "w", Role: spec.RoleWorker, Resource: spec.Resource{VCores: 1, MemoryMiB: 128, Named: map[string]int64{"yarn.io/unobtainium": 1}}}
	_, err = p.Register(t.Context(), provider.Registration{Host: "localhost", Port: 1, Pools: []spec.Pool{pool}})
	if err == nil || !strings.Contains(err.Error(), "yarn.io/unobtainium") {
		t.Errorf("%v", err)
	}
}

func testTooLarge(t *testing.T) {
	s := newSite(t)
	p, err := New(s.master(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	pool := spec.Pool{Name: "w", Role: spec.RoleWorker, Resource: spec.Resource{VCores: 1, MemoryMiB: 1 << 30}}
	reg, err := p.Register(t.Context(), provider.Registration{Host: "localhost", Port: 1, Pools: []spec.Pool{pool}})
	if err != nil || reg.Maximum.MemoryMiB < 1024 || reg.Maximum.MemoryMiB > 1<<20 {
		t.Fatalf("%+v, %v", reg, err)
	}
	p.Ask("w", 1, 0)
	select {
	case ev := <-p.Events():
		if e, ok := ev.(reconcile.Stop); !ok || e.Status != reconcile.Failed {
			t.Errorf("%T%+v", ev, ev)
		}
	case <-time.After(patience):
		t.Error("the ResourceManager's refusal was not told")
	}
}

// A whole application master on a real cluster whose workers cannot run: it gives
// up, and the ResourceManager shows why, with the end of a worker's log.
func testCrashLoopOnTheCluster(t *testing.T) {
	s := newSite(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.fs.Home() + "/.crash-test-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() { s.fs.RemoveAll(context.Background(), dir) })
	o := s.master(t)
	id := hadoop.ApplicationID{}
	if id, err = applicationOf(o); err != nil {
		t.Fatal(err)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	app := &spec.Application{
		Version: spec.Version, ID: id.String(), Name: "crash", User: o.User, Staging: "hdfs://nn/none",
		Pools: []spec.Pool{{Name: "worker", Role: spec.RoleWorker, Count: 2, Args: []string{"providertest", "say"}, MaxRestarts: 1,
			Resource: spec.Resource{VCores: 1, MemoryMiB: 128}, Files: []spec.File{s.upload(t, "yarnd", self, dir+"/program")}}},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	err = appmaster.Run(ctx, appmaster.Options{Spec: app, Seed: identity.NewSeed(), Provider: p, LeaveOnCancel: true})
	var end *appmaster.EndError
	if !errors.As(err, &end) || end.Status != reconcile.Failed {
		t.Fatalf("%v", err)
	}
	// The ResourceManager takes note of the end a moment after it has answered.
	var rep *pb.ApplicationReport
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for rep.GetFinalApplicationStatus() == pb.FinalApplicationStatus_APP_UNDEFINED {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the application has no final status: %v", rep)
		}
		if rep, err = s.rm.Report(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"pool worker: 2 containers in a row did not stay up", "exited with code 7", "the end of its stderr:\nlast words"} {
		if !strings.Contains(rep.GetDiagnostics(), want) {
			t.Errorf("no %q in %q", want, rep.GetDiagnostics())
		}
	}
	if rep.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_FAILED {
		t.Errorf("%v", rep.GetFinalApplicationStatus())
	}
}

func applicationOf(o Options) (hadoop.ApplicationID, error) {
	amrm, _ := hadoop.AMRMToken(o.Credentials)
	var ident pb.AMRMTokenIdentifier
	if err := proto.Unmarshal(amrm.Identifier, &ident); err != nil {
		return hadoop.ApplicationID{}, err
	}
	return hadoop.AttemptIDFromPB(ident.GetAppAttemptId()).App, nil
}

// endpoint is where an application's master says that it is; nothing before it has
// registered.
func (s *site) endpoint(ctx context.Context, app string) ([]string, error) {
	id, err := hadoop.ParseApplicationID(app)
	if err != nil {
		return nil, err
	}
	rep, err := s.rm.Report(ctx, id)
	if err != nil || rep.GetRpcPort() <= 0 {
		return nil, err
	}
	return []string{net.JoinHostPort(rep.GetHost(), strconv.Itoa(int(rep.GetRpcPort())))}, nil
}

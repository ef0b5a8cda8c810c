package yarn

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

func passwords(id []byte) ([]byte, error) { return append([]byte("pw of "), id...), nil }

func amrm(id string) token.Token {
	return token.Token{Identifier: []byte(id), Password: []byte("pw of " + id), Kind: token.KindAMRM}
}

func fakeServer(t *testing.T, o hadooptest.Options) *hadooptest.Server {
	t.Helper()
	s, err := hadooptest.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func exception(class string) *hadooptest.Exception {
	return &hadooptest.Exception{Class: "org.apache.hadoop.yarn.exceptions." + class, Message: "said the server"}
}

// fakeRM answers an application master by the model scheduler of the heartbeat's test.
type fakeRM struct {
	*hadooptest.Server
	mu         sync.Mutex
	sched      *scheduler
	registered bool
	registers  int
	finishes   int
	tokens     []string // token of each call
	roll       *pb.Token
	t          *testing.T
}

func newFakeRM(t *testing.T) *fakeRM {
	rm := &fakeRM{Server: fakeServer(t, hadooptest.Options{TokenOnly: true, Passwords: passwords}), sched: newScheduler(), t: t}
	hadooptest.Handle(rm.Server, MasterProtocol, "registerApplicationMaster", rm.register)
	hadooptest.Handle(rm.Server, MasterProtocol, "allocate", rm.allocate)
	hadooptest.Handle(rm.Server, MasterProtocol, "finishApplicationMaster", rm.finish)
	return rm
}

func (rm *fakeRM) register(_ context.Context, c *hadooptest.Call, r *pb.RegisterApplicationMasterRequest) (*pb.RegisterApplicationMasterResponse, error) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	rm.registered, rm.sched = true, &scheduler{last: &pb.AllocateResponse{ResponseId: proto.Int32(0)}, next: rm.sched.next}
	rm.registers++
	return &pb.RegisterApplicationMasterResponse{Queue: proto.String(fmt.Sprintf("%s:%d %s", r.GetHost(), r.GetRpcPort(), r.GetTrackingUrl()))}, nil
}

func (rm *fakeRM) allocate(_ context.Context, c *hadooptest.Call, r *pb.AllocateRequest) (*pb.AllocateResponse, error) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	rm.tokens = append(rm.tokens, string(c.TokenID))
	if !rm.registered {
		return nil, exception("ApplicationMasterNotRegisteredException")
	}
	resp := rm.sched.allocate(rm.t, r)
	if rm.roll != nil && string(c.TokenID) != string(rm.roll.Identifier) {
		resp.AmRmToken = rm.roll
	}
	return resp, nil
}

func (rm *fakeRM) finish(_ context.Context, c *hadooptest.Call, r *pb.FinishApplicationMasterRequest) (*pb.FinishApplicationMasterResponse, error) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	if !rm.registered {
		return nil, exception("ApplicationMasterNotRegisteredException")
	}
	rm.finishes++
	return &pb.FinishApplicationMasterResponse{IsUnregistered: proto.Bool(rm.finishes == 3)}, nil
}

func (rm *fakeRM) restart() {
	rm.mu.Lock()
	rm.registered = false
	rm.mu.Unlock()
}

func (rm *fakeRM) client(o ipc.Options) *AMClient {
	tok := amrm("key1")
	o.Token = &tok
	c := NewAMClient(Options{Addresses: []string{rm.Addr()}, IPC: o})
	rm.t.Cleanup(func() { c.Close() })
	return c
}

func allocated(t *testing.T, c *AMClient) []int64 {
	t.Helper()
	r, err := c.Allocate(t.Context(), &pb.AllocateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, x := range r.GetAllocatedContainers() {
		out = append(out, x.GetId().GetId())
	}
	return out
}

func TestAMClientSurvivesLostReplies(t *testing.T) {
	for _, tc := range []struct {
		name     string
		retryFor time.Duration
	}{{"repeated by the proxy", 0}, {"repeated by the next heartbeat", -1}} {
		t.Run(tc.name, func(t *testing.T) {
			rm := newFakeRM(t)
			c := rm.client(ipc.Options{RetryFor: tc.retryFor, BackoffBase: time.Millisecond})
			reg, err := c.Register(t.Context(), "host", 7, "http://x")
			if err != nil || reg.GetQueue() != "host:7 http://x" {
				t.Fatal(reg, err)
			}
			var once sync.Once
			var got []int64
			for i := range 6 {
				if i == 2 {
					rm.SetFault(func(*hadooptest.Call) (f hadooptest.Fault) {
						once.Do(func() { f.CloseAfter = true })
						return f
					})
				}
				r, err := c.Allocate(t.Context(), &pb.AllocateRequest{Progress: proto.Float32(float32(i))})
				if err != nil && !(i == 2 && tc.retryFor < 0) {
					t.Fatal(i, err)
				}
				for _, x := range r.GetAllocatedContainers() {
					got = append(got, x.GetId().GetId())
				}
			}
			if !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6}) {
				t.Errorf("delivered %v", got)
			}
		})
	}
}

// A heartbeat whose reply got lost, after which nobody answered for as long as the proxy tried: it was executed all the
// same, so it must be repeated before anything new is said, or what it brought is lost and what is new is ignored.
func TestAMClientRemembersALostReplyBehindRefusals(t *testing.T) {
	rm := newFakeRM(t)
	c := rm.client(ipc.Options{RetryFor: 50 * time.Millisecond, BackoffBase: time.Millisecond})
	if _, err := c.Register(t.Context(), "host", -1, ""); err != nil {
		t.Fatal(err)
	}
	rm.SetFault(func(*hadooptest.Call) hadooptest.Fault {
		rm.Refuse(true)
		return hadooptest.Fault{CloseAfter: true}
	})
	if _, err := c.Allocate(t.Context(), &pb.AllocateRequest{}); err == nil {
		t.Fatal("no error, although nobody answered")
	}
	rm.SetFault(nil)
	if err := rm.Refuse(false); err != nil {
		t.Fatal(err)
	}
	r, err := c.Allocate(t.Context(), &pb.AllocateRequest{Progress: proto.Float32(0.75)})
	if err != nil || len(r.GetAllocatedContainers()) != 2 || rm.sched.progress != 0.75 {
		t.Errorf("%v, %v; progress %v: want both containers, and the new content heeded", r, err, rm.sched.progress)
	}
}

func TestAMClientRollsItsToken(t *testing.T) {
	rm := newFakeRM(t)
	c := rm.client(ipc.Options{})
	if _, err := c.Register(t.Context(), "h", -1, ""); err != nil {
		t.Fatal(err)
	}
	allocated(t, c)
	next := amrm("key2")
	rm.mu.Lock()
	rm.roll = TokenToPB(next)
	rm.mu.Unlock()
	for range 3 {
		allocated(t, c)
	}
	rm.mu.Lock()
	defer rm.mu.Unlock()
	if want := []string{"key1", "key1", "key2", "key2"}; !slices.Equal(rm.tokens, want) {
		t.Errorf("heartbeats came with %v, want %v", rm.tokens, want)
	}
	if tok := c.Token(); !tok.Equal(next) {
		t.Errorf("token in use is %v", tok)
	}
	if rm.Accepted() != 2 {
		t.Errorf("%d connections", rm.Accepted())
	}
}

func TestAMClientThroughARestart(t *testing.T) {
	rm := newFakeRM(t)
	c := rm.client(ipc.Options{})
	if _, err := c.Allocate(t.Context(), &pb.AllocateRequest{}); !IsNotRegistered(err) {
		t.Fatalf("%v", err)
	}
	c.Register(t.Context(), "h", -1, "")
	if got := slices.Concat(allocated(t, c), allocated(t, c)); !slices.Equal(got, []int64{1, 2}) {
		t.Fatal(got)
	}
	rm.restart()
	if _, err := c.Allocate(t.Context(), &pb.AllocateRequest{}); !IsNotRegistered(err) {
		t.Fatalf("%v", err)
	}
	c.Register(t.Context(), "h", -1, "")
	if got := allocated(t, c); !slices.Equal(got, []int64{3}) { // with response id 0, or the model would end the test
		t.Fatal(got)
	}
	// A restart just before the end: finish registers again by itself, and repeats until it is done.
	rm.restart()
	if err := c.Finish(t.Context(), pb.FinalApplicationStatus_APP_SUCCEEDED, "bye", ""); err != nil {
		t.Fatal(err)
	}
	if rm.registers != 3 || rm.finishes != 3 {
		t.Errorf("%d registrations, %d finish calls", rm.registers, rm.finishes)
	}
}

func TestAMClientIsBoundedByContexts(t *testing.T) {
	rm := newFakeRM(t)
	c := rm.client(ipc.Options{})
	c.Register(t.Context(), "h", -1, "")
	rm.SetFault(func(*hadooptest.Call) hadooptest.Fault { return hadooptest.Fault{Drop: true} })
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := c.Allocate(ctx, &pb.AllocateRequest{}); first <- err }()
	for len(c.turn) == 0 { // until the first call has its turn
		runtime.Gosched()
	}
	short, cancel2 := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel2()
	if _, err := c.Allocate(short, &pb.AllocateRequest{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for one's turn: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	rm.SetFault(nil)
	if got := allocated(t, c); !slices.Equal(got, []int64{1, 2}) && !slices.Equal(got, []int64{1}) {
		t.Errorf("after a cancelled heartbeat: %v", got)
	}
}

// fakeApps answers ApplicationClientProtocol for one application whose states are scripted.
func fakeApps(t *testing.T, states ...any) (*Client, *[]string) {
	t.Helper()
	s := fakeServer(t, hadooptest.Options{})
	var mu sync.Mutex
	var log []string
	hadooptest.Handle(s, ClientProtocol, "submitApplication", func(_ context.Context, c *hadooptest.Call, r *pb.SubmitApplicationRequest) (*pb.SubmitApplicationResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, "submit "+ApplicationIDFromPB(r.GetApplicationSubmissionContext().GetApplicationId()).String()+" by "+c.User)
		return &pb.SubmitApplicationResponse{}, nil
	})
	hadooptest.Handle(s, ClientProtocol, "getApplicationReport", func(_ context.Context, c *hadooptest.Call, r *pb.GetApplicationReportRequest) (*pb.GetApplicationReportResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		x := states[0]
		if len(states) > 1 {
			states = states[1:]
		}
		log = append(log, "report")
		switch x := x.(type) {
		case *hadooptest.Exception:
			return nil, x
		case *pb.ApplicationReport:
			return &pb.GetApplicationReportResponse{ApplicationReport: x}, nil
		}
		return &pb.GetApplicationReportResponse{ApplicationReport: &pb.ApplicationReport{YarnApplicationState: x.(pb.ApplicationState).Enum()}}, nil
	})
	hadooptest.Handle(s, ClientProtocol, "forceKillApplication", func(_ context.Context, c *hadooptest.Call, r *pb.KillApplicationRequest) (*pb.KillApplicationResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, "kill "+r.GetDiagnostics())
		return &pb.KillApplicationResponse{IsKillCompleted: proto.Bool(len(log) >= 3)}, nil
	})
	c := NewClient(Options{Addresses: []string{s.Addr()}, IPC: ipc.Options{User: "alice"}})
	t.Cleanup(func() { c.Close() })
	return c, &log
}

func TestSubmitAndWait(t *testing.T) {
	const n, saving, sub, acc = pb.ApplicationState_NEW, pb.ApplicationState_NEW_SAVING, pb.ApplicationState_SUBMITTED, pb.ApplicationState_ACCEPTED
	ended := func(attempt int32) *pb.ApplicationReport {
		return &pb.ApplicationReport{YarnApplicationState: pb.ApplicationState_FAILED.Enum(), Diagnostics: proto.String("unknown queue: x"),
			CurrentApplicationAttemptId: AttemptID{app, attempt}.PB()}
	}
	context := &pb.ApplicationSubmissionContext{ApplicationId: app.PB()}
	const submit = "submit application_1410901177871_0001 by alice"
	for _, tc := range []struct {
		name   string
		states []any
		log    []string
		err    string
	}{
		{"accepted", []any{n, saving, sub, acc}, []string{submit, "report", "report", "report", "report"}, ""},
		{"forgotten by a failover", []any{n, exception("ApplicationNotFoundException"), acc}, []string{submit, "report", "report", submit, "report"}, ""},
		{"refused", []any{ended(-1)}, []string{submit, "report"}, "unknown queue: x"},
		{"accepted, and failed at once", []any{ended(1)}, []string{submit, "report"}, ""},
		{"another exception", []any{exception("YarnException")}, []string{submit, "report"}, "said the server"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, log := fakeApps(t, tc.states...)
			rep, err := c.SubmitAndWait(t.Context(), context)
			if tc.err == "" && (err != nil || rep == nil) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%v, %v", rep, err)
			}
			var rej *RejectedError
			if got := errors.As(err, &rej); got != (tc.name == "refused") {
				t.Errorf("%T", err)
			}
			if !slices.Equal(*log, tc.log) {
				t.Errorf("calls %q", *log)
			}
		})
	}
}

func TestKillAndWait(t *testing.T) {
	c, log := fakeApps(t)
	if err := c.KillAndWait(t.Context(), app, "enough"); err != nil || !slices.Equal(*log, []string{"kill enough", "kill enough", "kill enough"}) {
		t.Errorf("%v %q", err, *log)
	}
}

func TestNMClient(t *testing.T) {
	s := fakeServer(t, hadooptest.Options{TokenOnly: true, Passwords: passwords})
	var mu sync.Mutex
	var tokens []string
	hadooptest.Handle(s, ContainerProtocol, "startContainers", func(_ context.Context, c *hadooptest.Call, r *pb.StartContainersRequest) (*pb.StartContainersResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		tokens = append(tokens, string(c.TokenID))
		resp := &pb.StartContainersResponse{}
		for i, x := range r.GetStartContainerRequest() {
			id := ContainerID{attempt, int64(x.GetContainerToken().GetIdentifier()[0])}.PB()
			if i%2 == 0 {
				resp.SucceededRequests = append(resp.SucceededRequests, id)
			} else {
				resp.FailedRequests = append(resp.FailedRequests, &pb.ContainerExceptionMap{ContainerId: id,
					Exception: &pb.SerializedException{Message: proto.String("no disk"), ClassName: proto.String("a.B"), Trace: proto.String("tr")}})
			}
		}
		return resp, nil
	})
	c := NewNMClient(ipc.Options{})
	node, err := ParseNodeID(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	start := func(tok string, n byte) *ContainerResults {
		t.Helper()
		var reqs []*pb.StartContainerRequest
		for i := range n {
			reqs = append(reqs, &pb.StartContainerRequest{ContainerToken: TokenToPB(token.Token{Identifier: []byte{i + 1}})})
		}
		res, err := c.StartContainers(t.Context(), node, amrm(tok), reqs)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := start("n1", 2)
	second := ContainerID{attempt, 2}
	var ce *ContainerError
	if !slices.Equal(res.Succeeded, []ContainerID{{attempt, 1}}) || !errors.As(res.Failed[second], &ce) || ce.Message != "no disk" || ce.Trace != "tr" ||
		ce.Error() != second.String()+": a.B: no disk" {
		t.Errorf("%+v", res)
	}
	start("n1", 1)
	start("n2", 1)
	if !slices.Equal(tokens, []string{"n1", "n1", "n2"}) || s.Accepted() != 2 {
		t.Errorf("tokens %v on %d connections", tokens, s.Accepted())
	}
	c.Forget(node)
	c.Forget(node)
	start("n2", 1)
	if s.Accepted() != 3 {
		t.Errorf("%d connections", s.Accepted())
	}
	c.Close()
	c.Close()
	if _, err := c.StopContainers(t.Context(), node, amrm("n2"), second); !errors.Is(err, ipc.ErrClosed) {
		t.Error(err)
	}
}

// StartContainer with one container that fails gives that container's error.
func TestStartContainer(t *testing.T) {
	s := fakeServer(t, hadooptest.Options{TokenOnly: true, Passwords: passwords})
	hadooptest.Handle(s, ContainerProtocol, "startContainers", func(_ context.Context, c *hadooptest.Call, r *pb.StartContainersRequest) (*pb.StartContainersResponse, error) {
		return &pb.StartContainersResponse{FailedRequests: []*pb.ContainerExceptionMap{{ContainerId: ContainerID{attempt, 1}.PB()}}}, nil
	})
	c := NewNMClient(ipc.Options{})
	defer c.Close()
	node, _ := ParseNodeID(s.Addr())
	err := c.StartContainer(t.Context(), node, amrm("n"), &pb.Container{Id: ContainerID{attempt, 1}.PB(), ContainerToken: TokenToPB(token.Token{})}, &pb.ContainerLaunchContext{})
	var ce *ContainerError
	if !errors.As(err, &ce) || ce.ID != (ContainerID{attempt, 1}) {
		t.Errorf("%v", err)
	}
}

func TestSetLifetimeFormat(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 4, 5, 678e6, time.FixedZone("", -5400))
	if got := at.Format(lifetimeFormat); got != "2026-11-24T03:04:05.678-0130" {
		t.Error(got)
	}
}

func TestAMRMToken(t *testing.T) {
	c := &token.Credentials{}
	if _, ok := AMRMToken(c); ok {
		t.Error("a token out of nothing")
	}
	c.Add("x", token.Token{Kind: token.KindHDFS})
	c.Add("", amrm("me"))
	if tok, ok := AMRMToken(c); !ok || string(tok.Identifier) != "me" {
		t.Error(tok, ok)
	}
}

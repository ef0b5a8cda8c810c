package yarntest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func testClusterCalls(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, 30*time.Second)
	m, err := c.ClusterMetrics(ctx)
	if err != nil || m.GetNumNodeManagers() < 1 {
		t.Errorf("metrics %v, %v", m, err)
	}
	nodes, err := c.Nodes(ctx, pb.NodeState_NS_RUNNING)
	if err != nil || len(nodes) == 0 {
		t.Fatal(nodes, err)
	}
	for _, n := range nodes {
		if n.GetCapability().GetMemory() < 1024 || n.GetNodeId().GetHost() == "" || n.GetRackName() == "" {
			t.Errorf("node %v", n)
		}
	}
	all, err := c.Nodes(ctx)
	if err != nil || len(all) < len(nodes) {
		t.Errorf("no state given lists %d nodes, running are %d (%v)", len(all), len(nodes), err)
	}
	q, err := c.Queue(ctx, &pb.GetQueueInfoRequest{QueueName: proto.String("root"), IncludeChildQueues: proto.Bool(true), Recursive: proto.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range q.GetChildQueues() {
		names = append(names, k.GetQueueName())
	}
	if !slices.Contains(names, "default") || !slices.Contains(names, "etl") {
		t.Errorf("queues %v", names)
	}
	acls, err := c.QueueACLs(ctx)
	if err != nil || len(acls) == 0 {
		t.Errorf("queue ACLs %v, %v", acls, err)
	}
	types, err := c.ResourceTypes(ctx)
	if err != nil || len(types) < 2 || types[0].GetName() != yarn.Memory || types[0].GetUnits() != "Mi" {
		t.Errorf("resource types %v, %v", types, err)
	}
	if labels, err := c.NodeLabels(ctx); err != nil {
		t.Errorf("labels %v, %v", labels, err)
	}
}

func testUnknownQueueIsNil(t *testing.T, s *site) {
	q, err := s.client(t).Queue(within(t, 10*time.Second), &pb.GetQueueInfoRequest{QueueName: proto.String("nonesuch")})
	if err != nil || q != nil {
		t.Errorf("%v, %v", q, err)
	}
}

// Without security the ResourceManager gives a delegation token to anybody, and its renewer may renew it.
func testDelegationTokenCalls(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, 10*time.Second)
	tok, err := c.DelegationToken(ctx, ipc.DefaultUser())
	if err != nil || tok.Kind != token.KindRM {
		t.Fatalf("%v, %v", tok, err)
	}
	until, err := c.RenewDelegationToken(ctx, tok)
	if err != nil || until.Before(time.Now().Add(time.Minute)) || until.After(time.Now().Add(8*24*time.Hour)) {
		t.Errorf("renewed until %v, %v", until, err)
	}
	if err := c.CancelDelegationToken(ctx, tok); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if _, err := c.RenewDelegationToken(ctx, tok); err == nil {
		t.Error("a cancelled token was renewed")
	}
	other, err := c.DelegationToken(ctx, "somebody-else")
	if err != nil {
		t.Fatal(err)
	}
	var re *ipc.RemoteError
	if _, err := c.RenewDelegationToken(ctx, other); !errors.As(err, &re) || !strings.Contains(err.Error(), "non-matching renewer") {
		t.Errorf("renewed by another than the renewer: %v", err)
	}
	if err := c.CancelDelegationToken(ctx, other); err != nil {
		t.Errorf("cancel: %v", err)
	}
}

func testErrorsOfTheResourceManager(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, 60*time.Second)
	if _, err := c.Report(ctx, yarn.ApplicationID{ClusterTimestamp: 1, ID: 1}); !yarn.IsNotFound(err) {
		t.Errorf("unknown application: %v", err)
	}
	app, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("unknown queue", func(t *testing.T) {
		sub := submission(app.ID, true)
		sub.Queue = proto.String("nonesuch")
		_, err := c.SubmitAndWait(ctx, sub)
		var rej *yarn.RejectedError
		var re *ipc.RemoteError
		if !errors.As(err, &rej) && !errors.As(err, &re) || !strings.Contains(err.Error(), "nonesuch") {
			t.Errorf("%T %v", err, err)
		}
		t.Log(err)
	})
	t.Run("too large an application master", func(t *testing.T) {
		app, err := c.NewApplication(ctx)
		if err != nil {
			t.Fatal(err)
		}
		sub := submission(app.ID, false)
		sub.Resource = yarn.NewResource(app.Maximum.GetMemory()+1, 1, nil)
		if _, err := c.SubmitAndWait(ctx, sub); !yarn.IsInvalidResource(err) {
			t.Errorf("%v", err)
		} else {
			t.Log(err)
		}
	})
	t.Run("unknown method", func(t *testing.T) {
		a := s.addrs
		raw := ipc.NewClient(a.Client[0], yarn.ClientProtocol, ipc.Options{})
		defer raw.Close()
		err := raw.Call(ctx, ipc.Method{Name: "makeCoffee"}, &pb.GetNewApplicationRequest{}, &pb.GetNewApplicationResponse{})
		if !ipc.Is(err, "RpcNoSuchMethodException") {
			t.Errorf("%v", err)
		}
		// An ERROR leaves the connection open.
		if err := raw.Call(ctx, ipc.Method{Name: "getClusterMetrics"}, &pb.GetClusterMetricsRequest{}, &pb.GetClusterMetricsResponse{}); err != nil {
			t.Errorf("after an error: %v", err)
		}
	})
	t.Run("scheduler port without a token", func(t *testing.T) {
		a := s.addrs
		raw := ipc.NewClient(a.Scheduler[0], yarn.MasterProtocol, ipc.Options{})
		defer raw.Close()
		err := raw.Call(ctx, ipc.Method{Name: "allocate"}, &pb.AllocateRequest{}, &pb.AllocateResponse{})
		if !yarn.IsDenied(err) {
			t.Errorf("%v", err)
		}
		t.Log(err)
	})
	t.Run("scheduler port with a forged token", func(t *testing.T) {
		a := s.addrs
		id, _ := proto.Marshal(&pb.AMRMTokenIdentifier{AppAttemptId: yarn.AttemptID{App: app.ID, Attempt: 1}.PB(), KeyId: proto.Int32(1)})
		raw := ipc.NewClient(a.Scheduler[0], yarn.MasterProtocol, ipc.Options{Token: &token.Token{Identifier: id, Password: []byte("forged")}})
		defer raw.Close()
		err := raw.Call(ctx, ipc.Method{Name: "allocate"}, &pb.AllocateRequest{}, &pb.AllocateResponse{})
		var re *ipc.RemoteError
		if !errors.As(err, &re) || !re.Fatal || !ipc.NotSent(err) {
			t.Errorf("%#v", err)
		}
		t.Log(err)
	})
}

func testManyCallsOnOneConnection(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, time.Minute)
	var wg sync.WaitGroup
	began := time.Now()
	const n = 2000
	for range n {
		wg.Go(func() {
			if _, err := c.ClusterMetrics(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d calls in %v", n, time.Since(began))
}

func testFailAttemptStartsTheNext(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, 90*time.Second)
	app, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubmitAndWait(ctx, submission(app.ID, false)); err != nil {
		t.Fatal(err)
	}
	defer c.KillAndWait(context.WithoutCancel(ctx), app.ID, "test ended")
	first := yarn.AttemptID{App: app.ID, Attempt: 1}
	waitFor(t, ctx, "launched attempt", func() bool {
		a, err := c.Attempt(ctx, first)
		return err == nil && a.GetYarnApplicationAttemptState() == pb.AttemptState_APP_ATTEMPT_LAUNCHED
	})
	if err := c.FailAttempt(ctx, first); err != nil {
		t.Fatal(err)
	}
	waitFor(t, ctx, "second attempt", func() bool {
		r, err := c.Report(ctx, app.ID)
		return err == nil && r.GetCurrentApplicationAttemptId().GetAttemptId() == 2
	})
	if err := c.KillAndWait(ctx, app.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	rep, err := c.Report(ctx, app.ID)
	if err != nil || rep.GetYarnApplicationState() != pb.ApplicationState_KILLED || !strings.Contains(rep.GetDiagnostics(), "enough") {
		t.Errorf("%v %v", rep, err)
	}
	atts, err := c.Attempts(ctx, app.ID)
	if err != nil || len(atts) != 2 {
		t.Errorf("attempts %v, %v", atts, err)
	}
}

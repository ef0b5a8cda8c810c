package rm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func TestLifeOfAnApplication(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	am := w.master(1)
	r := w.report()
	if r.GetYarnApplicationState() != pb.ApplicationState_ACCEPTED || r.GetHost() != "N/A" || r.GetRpcPort() != -1 || r.GetOriginalTrackingUrl() != "N/A" {
		t.Errorf("before it registered: %v", r)
	}
	var env []string
	w.n.look(func() {
		for _, l := range w.n.launches {
			for _, e := range l.GetEnvironment() {
				env = append(env, e.GetKey()+"="+e.GetValue())
			}
		}
	})
	slices.Sort(env)
	if len(env) != 4 || env[0] != "A=b" || env[1] != "APPLICATION_WEB_PROXY_BASE=/proxy/"+w.id.String() || !strings.HasPrefix(env[2], "APP_SUBMIT_TIME_ENV=1") || env[3] != "MAX_APP_ATTEMPTS=2" {
		t.Errorf("environment %q", env)
	}
	reg := w.register(am)
	if reg.GetQueue() != "default" || reg.GetMaximumCapability().GetMemory() != 8192 || len(reg.GetSchedulerResourceTypes()) != 2 {
		t.Errorf("%v", reg)
	}
	cs, resp := w.obtain(am, 3)
	if len(cs) != 3 || len(resp.GetNmTokens()) != 1 {
		t.Errorf("%d containers, %d NMTokens", len(cs), len(resp.GetNmTokens()))
	}
	if r := w.report(); r.GetAppResourceUsage().GetNumUsedContainers() != 4 || r.GetAppResourceUsage().GetUsedResources().GetMemory() != 1024 || r.GetHost() != "here" ||
		r.GetTrackingUrl() != "http://"+w.m.WebAddr()+"/proxy/"+w.id.String()+"/" || r.GetOriginalTrackingUrl() != "http://here:8/" {
		t.Errorf("%v", r)
	}
	first, second := yarn.ContainerIDFromPB(cs[0].GetId()), yarn.ContainerIDFromPB(cs[1].GetId())
	w.n.look(func() { w.n.end(first, 3) })
	if st, _ := w.ended(am, first); st.GetExitStatus() != 3 || st.GetDiagnostics() != "ended by the test\n" {
		t.Errorf("%v", st)
	}
	w.allocate(am, &pb.AllocateRequest{Release: []*pb.ContainerId{second.PB()}})
	if st, _ := w.ended(am, second); st.GetExitStatus() != int32(yarn.ExitAborted) {
		t.Errorf("released: %v", st)
	}
	if err := am.Finish(t.Context(), pb.FinalApplicationStatus_APP_SUCCEEDED, "well", "http://history/"); err != nil {
		t.Fatal(err)
	}
	r = w.state(pb.ApplicationState_FINISHED)
	if r.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_SUCCEEDED || r.GetDiagnostics() != "well" || r.GetOriginalTrackingUrl() != "http://history/" || r.GetFinishTime() == 0 {
		t.Errorf("%v", r)
	}
	// Its master's process ends, and everything is gone.
	w.n.look(func() {
		for id := range w.n.has {
			w.n.end(id, 0)
		}
	})
	until(t, "the end of all", func() bool {
		done := false
		w.n.look(func() { done = len(w.n.has) == 0 && slices.Contains(w.n.ended, w.id) })
		return done
	})
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, Options{Cluster: core.Config{Queues: []core.Queue{{Name: "default", Capacity: 100}, {Name: "shut", Stopped: true}}}})
	for _, tc := range []struct {
		name   string
		change func(*pb.ApplicationSubmissionContext)
		want   string
	}{
		{"unknown queue", func(c *pb.ApplicationSubmissionContext) { c.Queue = proto.String("none") }, "to unknown queue: none"},
		{"a queue of queues", func(c *pb.ApplicationSubmissionContext) { c.Queue = proto.String("root") }, "to non-leaf queue: root"},
		{"a queue that was stopped", func(c *pb.ApplicationSubmissionContext) { c.Queue = proto.String("shut") }, "Queue root.shut is STOPPED"},
		{"too much memory", func(c *pb.ApplicationSubmissionContext) { c.Resource = yarn.NewResource(1<<20, 1, nil) }, "greater than maximum allowed allocation. Requested resource type=[memory-mb], Requested resource=<memory:1048576, vCores:1>"},
		{"negative cores", func(c *pb.ApplicationSubmissionContext) { c.Resource = yarn.NewResource(1, -1, nil) }, "requested resource is less than 0! Requested resource type=[vcores]"},
		{"a long tag", func(c *pb.ApplicationSubmissionContext) { c.ApplicationTags = []string{strings.Repeat("x", 101)} }, "maximum allowed length of a tag is 100"},
		{"many tags", func(c *pb.ApplicationSubmissionContext) { c.ApplicationTags = make([]string, 21) }, "a maximum of only 20 are allowed"},
		{"a foreign tag", func(c *pb.ApplicationSubmissionContext) { c.ApplicationTags = []string{"ü"} }, "A tag can only have ASCII characters"},
	} {
		app, err := w.c.NewApplication(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx := &pb.ApplicationSubmissionContext{ApplicationId: app.ID.PB(), Resource: yarn.NewResource(256, 1, nil)}
		tc.change(ctx)
		if _, err := w.c.SubmitAndWait(t.Context(), ctx); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	none := yarn.ApplicationID{ClusterTimestamp: 1, ID: 1}
	if _, err := w.c.Kill(t.Context(), none, ""); !yarn.IsNotFound(err) {
		t.Errorf("killed what is not: %v", err)
	}
	if err := w.c.FailAttempt(t.Context(), yarn.AttemptID{App: none, Attempt: 1}); !yarn.IsNotFound(err) {
		t.Errorf("%v", err)
	}
}

func TestAccess(t *testing.T) {
	for _, acls := range []bool{false, true} {
		w := newWorld(t, Options{ACLs: acls, Admins: []string{"root"}})
		w.submit(func(c *pb.ApplicationSubmissionContext) {
			c.AmContainerSpec.ApplicationAcls = []*pb.ApplicationACLMap{{AccessType: modify.Enum(), Acl: proto.String("carol,dave")}}
		})
		w.register(w.master(1))
		bob := clientOf(t, w.m, "bob")
		_, err := bob.Kill(t.Context(), w.id, "")
		if denied := yarn.IsDenied(err) && strings.Contains(err.Error(), "User bob cannot perform operation MODIFY_APP on "+w.id.String()); denied != acls {
			t.Errorf("ACLs %v: bob kills: %v", acls, err)
		}
		r, err := bob.Report(t.Context(), w.id)
		if err != nil || acls && r.GetHost() != "N/A" {
			t.Errorf("ACLs %v: bob looks: %v, %v", acls, r, err)
		}
		if err := clientOf(t, w.m, "dave").KillAndWait(t.Context(), w.id, "by dave"); err != nil {
			t.Error(err)
		}
		if d := w.state(pb.ApplicationState_KILLED).GetDiagnostics(); acls && !strings.HasSuffix(d, "was killed by user dave at 127.0.0.1 with diagnostic message: by dave") {
			t.Error(d)
		}
	}
}

func TestAttempts(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit(func(c *pb.ApplicationSubmissionContext) { c.KeepContainersAcrossApplicationAttempts = proto.Bool(true) })
	am := w.master(1)
	w.register(am)
	cs, _ := w.obtain(am, 2)
	w.m.Pause(true)
	w.n.look(func() { w.n.end(yarn.ContainerID{Attempt: yarn.AttemptID{App: w.id, Attempt: 1}, ID: 1}, 1) })
	until(t, "the second attempt", func() bool { return w.report().GetCurrentApplicationAttemptId().GetAttemptId() == 2 })
	if _, err := am.Allocate(t.Context(), &pb.AllocateRequest{}); !yarn.IsAttemptNotFound(err) {
		t.Errorf("the first attempt goes on: %v", err)
	}
	w.m.Pause(false)
	am2 := w.master(2)
	reg := w.register(am2)
	if len(reg.GetContainersFromPreviousAttempts()) != 2 || len(reg.GetNmTokensFromPreviousAttempts()) != 1 {
		t.Errorf("taken over: %v", reg)
	}
	id := yarn.ContainerIDFromPB(cs[1].GetId())
	w.allocate(am2, &pb.AllocateRequest{Release: []*pb.ContainerId{id.PB()}})
	w.ended(am2, id)
	if err := w.c.FailAttempt(t.Context(), yarn.AttemptID{App: w.id, Attempt: 2}); err != nil {
		t.Fatal(err)
	}
	r := w.state(pb.ApplicationState_FAILED)
	if r.GetDiagnostics() != fmt.Sprintf("Application %s failed 2 times due to Attempt failed by user.. Failing the application.", w.id) ||
		r.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_FAILED || r.GetTrackingUrl() != "http://"+w.m.WebAddr()+"/cluster/app/"+w.id.String() {
		t.Errorf("%v", r)
	}
	atts, err := w.c.Attempts(t.Context(), w.id)
	if err != nil || len(atts) != 2 || !strings.HasPrefix(atts[0].GetDiagnostics(), "AM Container for appattempt_") {
		t.Errorf("%v, %v", atts, err)
	}
}

func TestLaunchFailure(t *testing.T) {
	w := newWorld(t, Options{})
	w.n.look(func() { w.n.refuse = "org.apache.hadoop.yarn.exceptions.InvalidContainerException" })
	w.submit()
	if d := w.state(pb.ApplicationState_FAILED).GetDiagnostics(); !strings.Contains(d, "Error launching appattempt_") || !strings.Contains(d, "InvalidContainerException: no") {
		t.Error(d)
	}
}

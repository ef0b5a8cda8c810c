package yarn

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// An ask goes out at once, and its answer, which the ResourceManager never has in
// the same response, is fetched without waiting for an ordinary heartbeat: here
// that would be in an hour.
func TestAsksDoNotWaitForAHeartbeat(t *testing.T) {
	p, _ := newCluster(t).begin(t, func(o *Options) { o.Heartbeat = time.Hour })
	for i := range 3 {
		get(t, p, 2, 2*i)
	}
}

func TestLaunchAndStop(t *testing.T) {
	c := newCluster(t)
	p, reg := c.begin(t)
	if reg.Maximum.MemoryMiB != 4096 || reg.Maximum.VCores != 8 {
		t.Errorf("%+v", reg)
	}
	id := get(t, p, 1, 0)[0]
	c.look(func() {
		if n := len(c.asked); n != 1 || c.asked[0].GetNodeLabelExpression() != "gpu" || c.asked[0].GetResourceName() != "*" ||
			c.asked[0].GetCapability().GetMemory() != 1024 || c.asked[0].GetPriority().GetPriority() != 2 {
			t.Errorf("asked %v", c.asked)
		}
	})
	p.Start(id, map[string][]byte{"yarnd.join": []byte("tok")})
	next[reconcile.Launched](t, p)
	c.look(func() {
		l := c.launches[container(1)]
		if cmd := l.GetCommand(); len(cmd) != 1 || cmd[0] != "./yarnd worker 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr" {
			t.Errorf("command %q", cmd)
		}
		creds, err := token.Parse(l.GetTokens())
		if err != nil || string(creds.Secrets["yarnd.join"]) != "tok" {
			t.Errorf("%v, %v", creds, err)
		}
		if _, ok := creds.Select(token.KindAMRM); ok {
			t.Error("a container got the AMRM token")
		}
		if _, ok := creds.Select(token.KindHDFS); !ok {
			t.Error("a container got no HDFS token")
		}
		if acls := hadoop.ACLsFromPB(l.GetApplicationAcls()); acls != (hadoop.ACLs{View: "bob,ann staff"}) {
			t.Errorf("the node is told of access by %+v", acls)
		}
		env := l.GetEnvironment()
		if len(env) != 1 || env[0].GetKey() != "HADOOP_USER_NAME" || env[0].GetValue() != "alice" {
			t.Errorf("environment %v", env)
		}
		for _, r := range l.GetLocalResources() {
			u := r.GetValue().GetResource()
			switch r.GetKey() {
			case "yarnd":
				if u.GetHost() != "nn" || u.GetPort() != 8020 || u.GetFile() != "/cache/yarnd" || r.GetValue().GetTimestamp() != 6 || r.GetValue().GetType() != pb.LocalResourceType_FILE {
					t.Errorf("%v", r)
				}
			case "env":
				if u.GetHost() != "service" || u.GetPort() != -1 || r.GetValue().GetType() != pb.LocalResourceType_ARCHIVE || r.GetValue().GetVisibility() != pb.LocalResourceVisibility_PUBLIC {
					t.Errorf("%v", r)
				}
			}
		}
	})
	p.Stop(id)
	if e := next[reconcile.Completed](t, p); e.ID != id || e.Status != reconcile.StatusByAM {
		t.Errorf("%+v", e)
	}
	if err := p.Unregister(t.Context(), provider.Final{Status: reconcile.Failed, Diagnostics: "why"}); err != nil {
		t.Error(err)
	}
	if c.final.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_FAILED || c.final.GetDiagnostics() != "why" {
		t.Errorf("%v", c.final)
	}
}

// A ResourceManager that has restarted gets everything again that is outstanding,
// and nothing twice.
func TestResync(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	get(t, p, 2, 0)
	c.look(func() { c.forgotten, c.asked = true, nil })
	p.Ask("worker", 3, 2)
	for range 3 {
		next[reconcile.Allocated](t, p)
	}
	c.look(func() {
		last := map[int32]int32{}
		for _, a := range c.asked {
			last[a.GetPriority().GetPriority()] = max(last[a.GetPriority().GetPriority()], a.GetNumContainers())
		}
		if c.registered != 2 || last[2] != 3 || last[1] != 0 {
			t.Errorf("registered %d times, asked %v", c.registered, c.asked)
		}
	})
	// The old way to say it.
	c.look(func() { c.say.AmCommand, c.resyncs = pb.AMCommand_AM_RESYNC.Enum(), true })
	c.until(t, "registered again", func() bool { return c.registered == 3 })
}

// How the cluster vouches for clients is known from the registration on, and as each later one
// says it; one whose answer is lost takes nothing away.
func TestVouching(t *testing.T) {
	c := newCluster(t)
	c.masterKey, c.acls = []byte("key 1"), hadoop.ACLs{View: "bob"}
	p, _ := c.begin(t)
	is := func(key string, access spec.Access) bool {
		v := p.Vouching()
		return string(v.Key) == key && v.Told && v.Access == access
	}
	if !is("key 1", spec.Access{View: "bob"}) {
		t.Errorf("%+v", p.Vouching())
	}
	if text := fmt.Sprintf("%v %+v %x %s %#v", p.Vouching(), p.Vouching(), p.Vouching().Key, p.Vouching().Key, p.Vouching()); strings.Contains(text, "key 1") || strings.Contains(text, "6b6579") {
		t.Errorf("the key can be seen: %s", text)
	}
	c.look(func() {
		c.forgotten, c.masterKey, c.acls = true, []byte("key 2"), hadoop.ACLs{View: "*", Modify: "svc"}
	})
	c.until(t, "the newest key", func() bool { return is("key 2", spec.Access{View: "*", Modify: "svc"}) })
	var once sync.Once
	c.rm.SetFault(func(call *hadooptest.Call) (f hadooptest.Fault) {
		if call.Method == "registerApplicationMaster" {
			once.Do(func() { f.Midway = true })
		}
		return f
	})
	c.look(func() { c.forgotten = true })
	c.until(t, "registered again", func() bool { return c.registered == 3 })
	get(t, p, 2, 0)
	if !is("key 2", spec.Access{View: "*", Modify: "svc"}) {
		t.Errorf("after an answer that got lost: %+v", p.Vouching())
	}
}

func TestSuperseded(t *testing.T) {
	for name, say := range map[string]func(*cluster){
		"exception": func(c *cluster) { c.superseded = true },
		"token": func(c *cluster) {
			c.stranger = true
			c.rm.CloseConns()
		},
		"command": func(c *cluster) { c.say.AmCommand = pb.AMCommand_AM_SHUTDOWN.Enum() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			p, _ := c.begin(t)
			c.look(func() { say(c) })
			select {
			case <-p.Done():
				if p.Err() == nil {
					t.Error("no reason")
				}
			case <-time.After(wait):
				t.Fatal("it goes on")
			}
		})
	}
}

// Half of all answers get lost on their way; no container does.
func TestLostAnswers(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	var mu sync.Mutex
	n := 0
	c.rm.SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		return hadooptest.Fault{Midway: call.Method == "allocate" && n%2 == 0}
	})
	seen := map[string]bool{}
	for i := range 10 {
		for _, id := range get(t, p, 2, 2*i) {
			if seen[id] {
				t.Errorf("%s was allocated twice", id)
			}
			seen[id] = true
		}
	}
	var known int64
	c.look(func() { known = c.next })
	if int64(len(seen)) != known {
		t.Errorf("the ResourceManager allocated %d containers, %d arrived", known, len(seen))
	}
}

// One strange status in a batch must not hide the others.
func TestAllOfABatchIsTold(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 3, 0)
	c.look(func() {
		c.say.CompletedContainerStatuses = []*pb.ContainerStatus{
			completed(container(1).PB(), 1), completed(container(99).PB(), 1), {}, completed(container(1).PB(), 1), completed(container(2).PB(), 0), completed(container(3).PB(), -104),
		}
	})
	want := map[string]int32{ids[0]: 1, ids[1]: 0, ids[2]: -104}
	for range 3 {
		e := next[reconcile.Completed](t, p)
		if status, ok := want[e.ID]; !ok || status != e.Status {
			t.Errorf("%+v", e)
		}
		delete(want, e.ID)
	}
}

func TestLostNode(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 2, 0)
	c.look(func() {
		c.say.UpdatedNodes = []*pb.NodeReport{
			{NodeId: hadoop.NodeID{Host: "another", Port: 1}.PB(), NodeState: pb.NodeState_NS_LOST.Enum()},
			{NodeId: c.node(), NodeState: pb.NodeState_NS_LOST.Enum()},
		}
	})
	for range ids {
		if e := next[reconcile.Completed](t, p); reconcile.CauseOf(e.Status, false) != reconcile.Lost {
			t.Errorf("%+v", e)
		}
	}
	c.until(t, "both released", func() bool { return len(c.released) == 2 })
}

func TestPreemptionIsToldOnce(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 2, 0)
	warn := func(strict bool) {
		list := []*pb.PreemptionContainer{{Id: container(1).PB()}, {Id: container(77).PB()}}
		c.look(func() {
			if strict {
				c.say.Preempt = &pb.PreemptionMessage{StrictContract: &pb.StrictPreemptionContract{Container: list}}
			} else {
				c.say.Preempt = &pb.PreemptionMessage{Contract: &pb.PreemptionContract{Container: list}}
			}
		})
		c.until(t, "said", func() bool { return c.say.Preempt == nil })
	}
	warn(false)
	if e := next[reconcile.Preempt](t, p); e.Strict || !slices.Equal(e.IDs, ids[:1]) {
		t.Errorf("%+v", e)
	}
	warn(false)
	warn(true)
	if e := next[reconcile.Preempt](t, p); !e.Strict || !slices.Equal(e.IDs, ids[:1]) {
		t.Errorf("%+v", e)
	}
	warn(true)
	p.Release(ids[1])
	for {
		ev := <-p.Events()
		if e, ok := ev.(reconcile.Preempt); ok {
			t.Errorf("again: %+v", e)
		}
		if _, ok := ev.(reconcile.Completed); ok {
			return
		}
	}
}

// The next attempt finds what runs, and can stop it.
func TestPreviousContainers(t *testing.T) {
	c := newCluster(t)
	c.previous = []*pb.Container{c.container(1, 1), c.container(2, 2), c.container(3, 9)}
	c.next = 3
	p, reg := c.begin(t)
	if len(reg.Adopted) != 3 || reg.Adopted[0].Pool != "scheduler" || reg.Adopted[1].Pool != "worker" || reg.Adopted[2].Pool != "" {
		t.Fatalf("%+v", reg.Adopted)
	}
	p.Stop(reg.Adopted[2].ID)
	if e := next[reconcile.Completed](t, p); e.ID != reg.Adopted[2].ID {
		t.Errorf("%+v", e)
	}
	c.look(func() { c.say.ContainersFromPreviousAttempts = []*pb.Container{c.container(2, 2), c.container(4, 2)} })
	if e := next[reconcile.Adopted](t, p); len(e.Containers) != 1 || e.Containers[0].ID != container(4).String() {
		t.Errorf("%+v", e)
	}
}

// What the next attempt was not told of at its registration may have ended, or is told of
// too late; what is of this attempt, or was told before, is no news.
func TestContainersNeverSeen(t *testing.T) {
	c := newCluster(t)
	me := hadoop.AttemptID{App: app, Attempt: 2}
	p, _ := c.begin(t, func(o *Options) { o.Attempt = me })
	mine := hadoop.ContainerID{Attempt: me, ID: 7}
	c.look(func() {
		c.say.CompletedContainerStatuses = []*pb.ContainerStatus{
			completed(mine.PB(), 1), completed(container(5).PB(), 3), completed(container(5).PB(), 3), completed(container(6).PB(), 4),
		}
	})
	for _, want := range []reconcile.Completed{{ID: container(5).String(), Status: 3}, {ID: container(6).String(), Status: 4}} {
		if e := next[reconcile.Completed](t, p); e.ID != want.ID || e.Status != want.Status {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	p.Release(mine.String())
	p.Release("nonsense")
	p.Release(container(8).String())
	if e := next[reconcile.Completed](t, p); e.ID != container(8).String() {
		t.Errorf("%+v", e)
	}
	c.look(func() {
		if !slices.Equal(c.released, []hadoop.ContainerID{container(8)}) {
			t.Errorf("released %v", c.released)
		}
	})
}

// The ResourceManager registers an attempt, and its answer gets lost: at the beginning,
// and when it has restarted. What it says next is understood.
func TestRegistrationWhoseAnswerIsLost(t *testing.T) {
	c := newCluster(t)
	var mu sync.Mutex
	lose := true
	c.rm.SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if call.Method != "registerApplicationMaster" || !lose {
			return hadooptest.Fault{}
		}
		lose = false
		return hadooptest.Fault{CloseAfter: true}
	})
	p, reg := c.begin(t)
	if !reg.Blind || reg.Adopted != nil || c.registered != 1 {
		t.Errorf("%+v, registered %d times", reg, c.registered)
	}
	get(t, p, 2, 0)
	mu.Lock()
	lose = true
	mu.Unlock()
	c.look(func() { c.forgotten = true })
	get(t, p, 2, 2)
	if c.registered != 2 {
		t.Errorf("registered %d times", c.registered)
	}
	select {
	case <-p.Done():
		t.Error(p.Err())
	default:
	}
}

// The NodeManager hears, and its answer gets lost: the container runs, once.
func TestStartWhoseAnswerIsLost(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	id := get(t, p, 1, 0)[0]
	var once sync.Once
	c.nm.SetFault(func(call *hadooptest.Call) (f hadooptest.Fault) {
		if call.Method == "startContainers" {
			once.Do(func() { f.CloseAfter = true })
		}
		return f
	})
	p.Start(id, nil)
	if e := next[reconcile.Launched](t, p); e.ID != id {
		t.Errorf("%+v", e)
	}
}

func TestNodeThatIsNotThere(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	id := get(t, p, 1, 0)[0]
	c.nm.Refuse(true)
	p.Start(id, nil)
	if e := next[reconcile.LaunchFailed](t, p); e.ID != id || !e.Blameless {
		t.Errorf("%+v", e)
	}
	c.until(t, "released", func() bool { return len(c.released) == 1 })
}

// Twenty-four starts of a tenth of a second each, eight at a time.
func TestStartsAreParallelAndBounded(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 24, 0)
	c.look(func() { c.slow = 100 * time.Millisecond })
	for _, id := range ids {
		p.Start(id, nil)
	}
	for range ids {
		next[reconcile.Launched](t, p)
	}
	if c.busiest < 4 || c.busiest > 8 {
		t.Errorf("%d at a time", c.busiest)
	}
}

func TestAsksThatCanNeverBe(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	c.look(func() { c.refuse = 2 })
	p.Ask("worker", 1, 0)
	if e := next[reconcile.Stop](t, p); e.Status != reconcile.Failed {
		t.Errorf("%+v", e)
	}
}

// What was taken for impossible may be possible later: who has something goes on with that, and asks again. It is not
// asked for beside others, and not at all while nobody wants it.
func TestAsksThatCannotBeNow(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	p.Ask("scheduler", 1, 0)
	next[reconcile.Allocated](t, p)
	p.mu.Lock()
	p.patience = 200 * time.Millisecond
	p.mu.Unlock()
	c.look(func() { c.refuse, c.forgotten = 2, true }) // the other ResourceManager, which does not know all nodes yet
	p.Ask("scheduler", 1, 1)
	if e := next[reconcile.Allocated](t, p); e.Pool != "scheduler" {
		t.Errorf("%+v", e)
	}
	c.look(func() {
		if c.registered != 2 || c.refused != 0 {
			t.Errorf("registered %d times; though it wants none, refused %d times", c.registered, c.refused)
		}
	})
	p.Ask("worker", 1, 0)
	p.Ask("scheduler", 1, 2)
	seen := map[string]bool{}
	for len(seen) < 2 {
		switch e := (<-p.Events()).(type) {
		case reconcile.Refused:
			seen["refused "+e.Pool] = true
		case reconcile.Allocated:
			seen["given "+e.Pool] = true
		case reconcile.Stop:
			t.Fatal(e.Why)
		}
	}
	if !seen["refused worker"] || !seen["given scheduler"] {
		t.Errorf("%v", seen)
	}
	c.look(func() { c.refuse = 0 })
	for {
		switch e := (<-p.Events()).(type) {
		case reconcile.Allocated:
			if e.Pool != "worker" {
				t.Errorf("%+v", e)
			}
			return
		case reconcile.Stop:
			t.Fatal(e.Why)
		}
	}
}

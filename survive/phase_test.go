package survive

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// assassin kills the application master once, at a call of its.
type assassin struct {
	w    *world
	mu   sync.Mutex
	when string // method; "" is never
	how  hadooptest.Fault
	hit  bool
	err  error
}

func (w *world) newAssassin() *assassin {
	a := &assassin{w: w}
	w.RM.SchedulerServer().SetFault(a.fault)
	for _, node := range w.Nodes {
		node.SetFault(a.fault)
	}
	return a
}

// at chooses the call. Before it is heard the connection breaks, or after, without an
// answer.
func (a *assassin) at(method string, heard bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.when, a.how = method, hadooptest.Fault{CloseBefore: !heard, CloseAfter: heard}
}

func (a *assassin) fault(c *hadooptest.Call) hadooptest.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.when != c.Method {
		return hadooptest.Fault{}
	}
	err := a.w.killAnyMaster()
	if errors.Is(err, errNoMaster) && c.Method == "startContainers" {
		return hadooptest.Fault{} // it is the application master that is started here
	}
	a.when, a.hit, a.err = "", true, err
	return a.how
}

// check demands that the kill has hit.
func (a *assassin) check() {
	a.w.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.hit || a.err != nil {
		a.w.Errorf("the kill at a call did not hit: %v, %v", a.hit, a.err)
	}
}

// phase is a moment of an application's life, at which its master is killed.
type phase struct {
	name string
	// before runs before the submission, up when the workers are there, and end instead
	// of an end by stop.
	before, up, end func(*life)
}

// life is one application.
type life struct {
	*app
	kill *assassin
	c    *yarnd.Cluster
	want int // workers
}

func at(method string, heard bool) func(*life) {
	return func(l *life) { l.kill.at(method, heard) }
}

var phases = []phase{
	{name: "staging", before: func(l *life) { l.RM.SchedulerServer().Refuse(true) }},
	{name: "registering", before: at("registerApplicationMaster", false)},
	{name: "registered", before: at("registerApplicationMaster", true)},
	{name: "asking", before: at("allocate", true)},
	{name: "launching", before: at("startContainers", false)},
	{name: "launched", before: at("startContainers", true)},
	{name: "running", up: func(l *life) { l.killNow() }},
	{name: "scaling up", up: func(l *life) { l.scale(3); l.killNow() }},
	{name: "scaling down", up: func(l *life) { l.scale(1); l.killNow() }},
	{name: "draining", up: (*life).drain},
	{name: "stopping", end: at("stopContainers", false)},
	{name: "stopped", end: at("stopContainers", true)},
	{name: "finishing", end: at("finishApplicationMaster", false)},
	{name: "finished", end: at("finishApplicationMaster", true)},
}

// scale is answered when it is saved.
func (l *life) scale(n int) {
	l.Helper()
	if err := l.c.Scale(l.withTime(), n); err != nil {
		l.Fatal(err)
	}
	l.want = n
}

// killNow kills the present application master.
func (l *life) killNow() {
	l.Helper()
	if err := l.killMaster(l.attempt()); err != nil {
		l.Fatal(err)
	}
}

// drain has a worker drained that cannot leave yet, and kills.
func (l *life) drain() {
	l.Helper()
	futures := engine.Command([]string{"sleep", "{}"}).Map(l.withTime(), l.c.Client, slices.Values([]string{"2", "2"}))
	l.await("both work", func() bool {
		jobs, err := l.c.Jobs(l.Context())
		return err == nil && slices.ContainsFunc(jobs, func(j engine.JobInfo) bool { return j.Running == 2 })
	})
	l.scale(1)
	l.killNow()
	if _, err := futures.Gather(l.withTime()); err != nil {
		l.Error(err)
	}
}

// In each phase of its life the application master is killed, and each application ends
// as its owner wants it, with as many workers as it shall have in between, and with
// nothing left.
func TestMasterIsKilledInEachPhase(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2})
	for i, p := range phases {
		if testing.Short() && i%3 != 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			w := &world{T: t, Cluster: w.Cluster, edge: w.edge}
			defer func() {
				if t.Failed() {
					w.showLogs()
				}
			}()
			l := &life{app: &app{world: w}, kill: w.newAssassin(), want: 2}
			if p.before != nil {
				p.before(l)
			}
			l.app = w.submit(small(2))
			if p.name == "staging" { // it lives, and nobody has heard of it yet
				defer l.RM.SchedulerServer().Refuse(false) // or nobody lives after it
				l.await("its death", func() bool {
					err := w.killAnyMaster()
					if err != nil && !errors.Is(err, errNoMaster) {
						t.Fatal(err)
					}
					return err == nil
				})
				l.RM.SchedulerServer().Refuse(false)
			}
			l.live(p)
		})
	}
}

// hides has nobody hear where a next master is, until the application has ended.
func (l *life) hides(c *hadooptest.Call) hadooptest.Fault {
	l.kill.mu.Lock()
	defer l.kill.mu.Unlock()
	return hadooptest.Fault{CloseBefore: l.kill.hit && c.Method == "getApplicationReport" && len(l.processes()) > 0}
}

// Who asks for the end hears of it also from a master that dies when that is saved and before it has answered: the next
// one ends the application, and may be gone before anybody has spoken to it.
func TestMasterDiesBeforeItAnswersStop(t *testing.T) {
	w := newWorld(t, minicluster.Options{Nodes: 2, HDFS: true})
	l := &life{app: w.submit(small(1)), kill: w.newAssassin(), want: 1}
	l.await("the application master serves", func() bool {
		r, err := l.edge.Report(l.Context(), l.id)
		return err == nil && r.Endpoint != ""
	})
	l.c = l.connect()
	if err := l.c.WaitWorkers(l.withTime(), 1); err != nil {
		t.Fatal(err)
	}
	w.HDFS.NameNode().SetFault(l.kill.fault)
	defer w.HDFS.NameNode().SetFault(nil)
	l.kill.at("rename2", true) // of what it remembers
	w.RM.ClientServer().SetFault(l.hides)
	defer w.RM.ClientServer().SetFault(nil)
	if err := l.c.Stop(l.withTime()); err != nil {
		t.Error(err)
	}
	if end := l.final(); end.Final != "SUCCEEDED" {
		t.Errorf("%+v", end)
	}
	l.kill.check()
	l.gone()
}

// live is the rest of an application's life.
func (l *life) live(p phase) {
	l.Helper()
	l.await("the application master serves", func() bool {
		r, err := l.edge.Report(l.Context(), l.id)
		return err == nil && r.Endpoint != ""
	})
	l.c = l.connect()
	if err := l.c.WaitWorkers(l.withTime(), 2); err != nil {
		l.Fatal(err)
	}
	if p.up != nil {
		p.up(l)
	}
	l.exact()
	echo := engine.Command([]string{"echo", "-n", "{}"})
	if got, err := echo.Call(l.withTime(), l.c.Client, "it works"); err != nil || string(got.Stdout) != "it works" {
		l.Errorf("%+v, %v", got, err)
	}
	if p.end != nil {
		p.end(l)
	}
	if err := l.c.Stop(l.withTime()); err != nil {
		l.Error(err)
	}
	if end := l.final(); end.Final != "SUCCEEDED" {
		l.Errorf("%+v", end)
	}
	if p.up == nil && p.name != "staging" {
		l.kill.check()
	}
	l.gone()
}

// exact waits until the scheduler and exactly the workers that are wanted run.
func (l *life) exact() {
	l.Helper()
	l.await("exactly what is wanted runs", func() bool {
		info, err := l.c.Session().Info(l.withTime())
		if err != nil {
			l.Fatal(err)
		}
		for _, p := range info.GetPools() {
			want := l.want
			if p.GetRole() == "scheduler" {
				want = 1
			}
			if int(p.GetRunning()) != want || p.GetStarting()+p.GetStopping()+p.GetAsked() != 0 {
				return false
			}
		}
		return int(info.GetReport().GetWorkers()) == l.want && len(l.running()) == l.want+1
	})
}

// killAnyMaster kills the application master that lives, whose ever it is.
func (w *world) killAnyMaster() error {
	masters := w.masters()
	for _, node := range w.Nodes {
		for _, c := range node.Containers() {
			if c.State == tracker.Running && masters[c.ID.String()] {
				return node.KillContainer(c.ID, syscall.SIGKILL)
			}
		}
	}
	return errNoMaster
}

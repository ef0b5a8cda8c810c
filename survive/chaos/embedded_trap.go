package main

import (
	"context"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// trap kills an application's masters at the next call of a method that one makes: before the call is heard, or when
// it has been heard and before the answer. So a phase is not met by chance.
type trap struct {
	mu          sync.Mutex
	app, method string // "": no trap is set
	heard       bool
	sprung      chan bool         // whether a live process was hit
	calls       map[string]string // the last call of each attempt
}

// setTraps has all calls of application masters pass by the trap.
func (e *embedded) setTraps() {
	e.trap.calls = map[string]string{}
	for _, s := range e.RM.SchedulerServers() {
		s.SetFault(e.passes)
	}
	for _, n := range e.Nodes {
		n.SetFault(e.passes)
	}
}

func (e *embedded) passes(c *hadooptest.Call) hadooptest.Fault {
	var who pb.AMRMTokenIdentifier // an NMTokenIdentifier begins with the attempt as well
	if proto.Unmarshal(c.TokenID, &who) != nil || who.AppAttemptId == nil {
		return hadooptest.Fault{}
	}
	id := yarn.AttemptIDFromPB(who.AppAttemptId)
	t := &e.trap
	t.mu.Lock()
	defer t.mu.Unlock()
	set := t.method == c.Method && t.app == id.App.String()
	hit := false
	if set {
		for _, b := range e.boxes(t.app) {
			hit = b.Master && e.w.signal(b.ID, syscall.SIGKILL) || hit
		}
		e.sendsHome(c)
	}
	if c.Method == "startContainers" && len(t.calls[id.String()]) == 0 {
		return hadooptest.Fault{} // it is the application master that is started here
	}
	t.calls[id.String()] = c.Method
	if !set {
		return hadooptest.Fault{}
	}
	t.method = ""
	t.sprung <- hit
	return hadooptest.Fault{CloseBefore: !t.heard, CloseAfter: t.heard}
}

// sendsHome tells which containers a call ends.
func (e *embedded) sendsHome(c *hadooptest.Call) {
	var req pb.StopContainersRequest
	if c.Method != "stopContainers" || c.Decode(&req) != nil {
		return
	}
	for _, id := range req.GetContainerId() {
		e.w.sendsHome(yarn.ContainerIDFromPB(id).String())
	}
}

// methods are the calls that a master makes in each phase.
var methods = map[string][]string{
	"registering": {"registerApplicationMaster"},
	"launching":   {"startContainers"},
	"draining":    {"stopContainers"},
	"finishing":   {"stopContainers", "finishApplicationMaster"},
}

func (e *embedded) strike(ctx context.Context, app *yarnd.Cluster, phase string, provoke func() error) (string, error) {
	calls := methods[phase]
	if len(calls) == 0 {
		return e.strikeFirst(ctx, app.ID, provoke)
	}
	e.set(app.ID, calls[e.w.rnd.IntN(len(calls))])
	if err := provoke(); err != nil {
		return "", err
	}
	return phase, e.caught(ctx)
}

// set sets the trap.
func (e *embedded) set(app, method string) {
	e.trap.mu.Lock()
	defer e.trap.mu.Unlock()
	e.trap.app, e.trap.method, e.trap.heard, e.trap.sprung = app, method, e.w.rnd.IntN(2) == 0, make(chan bool, 1)
}

// caught waits for the trap to spring.
func (e *embedded) caught(ctx context.Context) error {
	const patience = time.Minute
	e.trap.mu.Lock()
	sprung := e.trap.sprung
	e.trap.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	hit := false
	select {
	case hit = <-sprung:
	case <-ctx.Done():
	}
	e.trap.mu.Lock()
	e.trap.method = ""
	e.trap.mu.Unlock()
	if !hit {
		return errMissed
	}
	return nil
}

// strikeFirst kills the next master as soon as its process is there, and tells how far that one had come.
func (e *embedded) strikeFirst(ctx context.Context, app string, provoke func() error) (string, error) {
	const patience = 30 * time.Second
	old := e.w.master()
	if err := provoke(); err != nil {
		return "", err
	}
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < patience; sleep(ctx, 2*time.Millisecond) {
		next := e.w.master()
		id, err := yarn.ParseContainerID(next)
		if err != nil || next == old {
			continue
		}
		e.trap.mu.Lock()
		called := e.trap.calls[id.Attempt.String()]
		e.trap.mu.Unlock()
		if !e.w.signal(next, syscall.SIGKILL) {
			return "", errMissed
		}
		switch called {
		case "":
			return "staging", nil
		case "registerApplicationMaster":
			return "registering", nil
		}
		return "running", nil
	}
	return "", errMissed
}

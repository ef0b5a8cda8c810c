package appmaster

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/reconcile"
)

// An application master that the cluster has not heard for too long may have a
// successor. Until it knows, it does nothing that the other might do differently: it
// closes its door and all connections, so that who needs an application master looks for
// the other one, and lets no time pass for the core. What runs goes on running. When the
// cluster answers it goes on, or learns that it is past.

// alone returns an error when there may be another application master.
func (l *loop) alone() error {
	if until := l.prov.Trusted(); !until.IsZero() && time.Now().After(until) {
		return status.Error(codes.Unavailable, "this application master has had no answer from the cluster for so long that there may be another one")
	}
	return nil
}

// watchTrust opens and closes the door. It runs on the loop.
func (l *loop) watchTrust() {
	fenced := l.alone() != nil
	if fenced == l.fenced {
		return
	}
	l.fenced = fenced
	l.doors.gate.fence(fenced)
	if fenced {
		l.log.Warn("no answer from the cluster for too long: there may be another application master, so this one serves nobody")
		l.note("app.fenced", l.opt.Spec.ID, "no answer from the cluster; there may be another application master")
		return
	}
	l.log.Info("the cluster answers, and there is no other application master")
	l.note("app.unfenced", l.opt.Spec.ID, "the cluster answers again")
	if l.sched == nil {
		l.step(reconcile.SchedulerDetached{}) // it has its time to come back from now on
	}
}

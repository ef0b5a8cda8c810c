package worker

import (
	"context"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/identity"
)

// A worker gives results to those who may submit work and to the application's own
// processes; who may only look at the application or scale it gets none.
func TestResultsAreNotForAllRoles(t *testing.T) {
	c := newCluster(t)
	c.worker("w", Options{Slots: 1})
	cl := c.client()
	large := cl.submit(cl.function("fill"), "50000")
	o := cl.outcome(large)
	if o.Failure != nil || len(o.Holders) == 0 {
		t.Fatalf("%+v", o)
	}
	at := transfer.Peer{Role: identity.Worker, Name: o.Holders[0].Name, Address: o.Holders[0].Address}
	for role, may := range map[identity.Role]bool{
		identity.Client: true, identity.Worker: true, identity.Scheduler: true,
		identity.Operator: false, identity.Viewer: false, identity.AppMaster: false,
	} {
		pool := transfer.NewPool(c.identity(role, "somebody"), transfer.PoolOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		data, err := pool.Result(ctx, at, o.Task, cl.attempt[large], o.Size)
		if (err == nil) != may || len(data) > 0 && !may {
			t.Errorf("%s: %d bytes, %v", role, len(data), err)
		}
		cancel()
		pool.Close()
	}
}

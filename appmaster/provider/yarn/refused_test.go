package yarn

import (
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// What is guaranteed comes for an opportunistic pool, and goes back. Whether that is the end is not for the provider to
// say: it does not know what the application has beside, which an earlier attempt may have begun.
func TestNotOffered(t *testing.T) {
	c := newCluster(t)
	c.previous = []*pb.Container{c.container(1, 2), c.container(2, 2)}
	c.next = 2
	p, _ := c.begin(t)
	p.Ask("spare", 1, 0)
	ev := next[reconcile.Event](t, p)
	if e, ok := ev.(reconcile.Refused); !ok || e.Pool != "spare" || !e.Unoffered || !strings.Contains(e.Why, hadoop.OpportunisticSetting) {
		t.Errorf("%T%+v", ev, ev)
	}
	c.until(t, "it is given back", func() bool { return slices.Contains(c.released, container(3)) })
}

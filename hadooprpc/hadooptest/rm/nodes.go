package rm

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// RegisterNode implements tracker.ResourceManager. A decommissioned node is refused with *core.Refused: it shuts down.
func (m *RM) RegisterNode(n tracker.Node) (tracker.Registered, error) {
	var out tracker.Registered
	err := error(tracker.ErrDown)
	m.do(func(now time.Time) {
		if m.cut[n.ID] || m.standby {
			return
		}
		err = m.core.RegisterNode(n, now)
		out = tracker.Registered{RMIdentifier: m.core.Timestamp(), Keys: m.keys}
	})
	return out, err
}

// Heartbeat implements tracker.ResourceManager.
func (m *RM) Heartbeat(h tracker.Heartbeat) (tracker.Orders, error) {
	var out tracker.Orders
	err := error(tracker.ErrDown)
	m.do(func(now time.Time) {
		if m.cut[h.Node] || m.standby {
			return
		}
		out, err = m.core.Heartbeat(h, now), nil
		out.Keys = m.keys
	})
	return out, err
}

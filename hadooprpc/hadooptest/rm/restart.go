package rm

import (
	"errors"
	"time"
)

// Stop ends the ResourceManager, of a pair the active one, as kill -9 does: ports refuse, connections break, nodes find
// nobody. Start brings it back. Stopping twice does no harm.
func (m *RM) Stop() {
	m.mu.Lock()
	m.down = true
	m.incarnation++
	d := m.doors[m.active]
	m.mu.Unlock()
	d.refuse(true) // to refuse cannot fail but after Close
	d.web.shut()
}

// Start starts it again on the same ports. With keep it has a state store: applications, and the keys of application
// masters' and delegation tokens, are there; nodes and application masters have to register again, and new containers
// carry a higher epoch. Without, it is a new cluster that knows nothing.
func (m *RM) Start(keep bool) error {
	m.mu.Lock()
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return errors.New("rm: closed")
	}
	if !m.down {
		m.mu.Unlock()
		return nil
	}
	now := m.now()
	m.core.Restart(keep, now)
	if keep {
		// These keys are in no store. Nodes know the last ones still.
		m.keys.Container.Roll()
		m.keys.NM.Roll()
	} else {
		m.newKeys()
	}
	m.started, m.down, m.standby = now, false, false
	d := m.doors[m.active]
	m.core.SetWebAddr(d.web.addr)
	m.mu.Unlock()
	return errors.Join(d.refuse(false), d.web.start())
}

// Failover kills the active one of a pair; after a pause, in which there is none, the other one goes on with the state
// of the first, and that is the standby from then on. See Start for what a state store has.
func (m *RM) Failover(pause time.Duration) error {
	if len(m.doors) < 2 {
		return errors.New("rm: failover needs a pair")
	}
	m.Stop()
	m.wait(pause)
	m.mu.Lock()
	standby := m.doors[m.active]
	m.active = 1 - m.active
	m.mu.Unlock()
	return errors.Join(m.Start(true), standby.web.start())
}

func (m *RM) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.ctx.Done():
	}
}

// Restart is Stop, a pause, and Start.
func (m *RM) Restart(keep bool, pause time.Duration) error {
	m.Stop()
	m.wait(pause)
	return m.Start(keep)
}

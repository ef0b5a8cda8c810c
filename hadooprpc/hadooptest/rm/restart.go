package rm

import (
	"errors"
	"time"
)

// Stop ends the ResourceManager as kill -9 does: ports refuse, connections break, nodes find nobody. Start brings it
// back. Stopping twice does no harm.
func (m *RM) Stop() {
	m.mu.Lock()
	m.down = true
	m.incarnation++
	m.mu.Unlock()
	m.client.Refuse(true)
	m.scheduler.Refuse(true)
	m.client.CloseConns()
	m.scheduler.CloseConns()
	m.web.shut()
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
	m.mu.Unlock()
	err := errors.Join(m.client.Refuse(false), m.scheduler.Refuse(false), m.web.listen())
	if err == nil {
		m.web.open()
	}
	return err
}

// Restart is Stop, a pause, and Start.
func (m *RM) Restart(keep bool, pause time.Duration) error {
	m.Stop()
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.ctx.Done():
	}
	return m.Start(keep)
}

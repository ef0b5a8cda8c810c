package rm

import (
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Preempt warns a container's application master that the container will be taken, for certain (strict) or unless as
// much is given back, and takes it after grace; grace below 0 only warns. It tells whether there is such a container.
func (m *RM) Preempt(id yarn.ContainerID, strict bool, grace time.Duration) (found bool) {
	m.do(func(now time.Time) { found = m.core.Preempt(id, strict, grace, now) })
	return found
}

// RollAMRM makes a new key for application masters' tokens: each gets a new token with every response until it comes
// back with it. ActivateAMRM makes the old tokens worthless for new connections; the real one does that after 1.5 times
// the time in which an application master expires.
func (m *RM) RollAMRM() {
	m.do(func(time.Time) {
		k := tracker.NewKey(m.amrm.newest().ID + 1)
		if m.amrm.next != nil {
			m.amrm.current = *m.amrm.next
		}
		m.amrm.next = &k
	})
}

// ActivateAMRM ends what RollAMRM began.
func (m *RM) ActivateAMRM() {
	m.do(func(time.Time) {
		if m.amrm.next != nil {
			m.amrm = amrmKeys{current: *m.amrm.next}
		}
	})
}

// RollKeys makes new keys for container tokens and NMTokens. Tokens under the key before the last are good still.
func (m *RM) RollKeys() {
	m.do(func(time.Time) {
		m.keys.Container.Roll()
		m.keys.NM.Roll()
	})
}

// LoseNode gives a node up at once: its containers end with -100. Its next heartbeat is answered with Resync, and what
// still runs there is taken back.
func (m *RM) LoseNode(id yarn.NodeID) (found bool) {
	m.do(func(now time.Time) { found = m.core.LoseNode(id, now) })
	return found
}

// Cut keeps a node from reaching the ResourceManager, as a broken network does, or heals that. After the time in which
// a node expires it is lost.
func (m *RM) Cut(id yarn.NodeID, cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cut {
		m.cut[id] = true
	} else {
		delete(m.cut, id)
	}
}

// Decommission takes a node out of service: its next heartbeat is answered with Shutdown.
func (m *RM) Decommission(id yarn.NodeID) (found bool) {
	m.do(func(now time.Time) { found = m.core.Decommission(id, now) })
	return found
}

// Recommission lets a decommissioned node register again.
func (m *RM) Recommission(id yarn.NodeID) {
	m.do(func(time.Time) { m.core.Recommission(id) })
}

// HandOut gives an attempt up to n containers that it did not ask for, and tells how many it got.
func (m *RM) HandOut(id yarn.AttemptID, n int, priority int32, r core.Resource) (given int) {
	m.do(func(now time.Time) { given = m.core.HandOut(id, n, priority, r, now) })
	return given
}

// Hold keeps a queue as if it were full, so that no application master starts in it, or lets it go.
func (m *RM) Hold(queue string, hold bool) (found bool) {
	m.do(func(time.Time) { found = m.core.Hold(queue, hold) })
	return found
}

// StopQueue stops a queue for new applications, or opens it.
func (m *RM) StopQueue(queue string, stopped bool) (found bool) {
	m.do(func(time.Time) { found = m.core.StopQueue(queue, stopped) })
	return found
}

// Pause holds all allocation back, or lets it go on.
func (m *RM) Pause(paused bool) {
	m.do(func(time.Time) { m.core.Pause(paused) })
}

// Advance moves this ResourceManager's clock on, for all that expires.
func (m *RM) Advance(d time.Duration) {
	m.mu.Lock()
	m.skew += d
	m.mu.Unlock()
	m.do(func(now time.Time) { m.core.Tick(now) })
}

// Standby has all calls answered with StandbyException, or ends that. A real standby refuses connections instead: see
// Stop.
func (m *RM) Standby(standby bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.standby = standby
}

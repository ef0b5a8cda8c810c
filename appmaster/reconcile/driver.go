package reconcile

import "github.com/yarnd/yarnd/appmaster/spec"

// driverEnded ends the application with its driver, and as that has ended. A driver
// that was taken away, or never started, is judged as any other container.
func (c *Core) driverEnded(ct *container, cause Cause, status int32, why string) bool {
	if ct.pool.spec.Role != spec.RoleDriver {
		return false
	}
	said := ""
	end := Stop{Status: Failed, Why: "the driver, " + ct.id + " on " + ct.node + ", " + cause.Describe(status)}
	switch cause {
	case Exited, Signalled: // its log says more than the node manager
		if cause == Exited && status == 0 {
			c.beginEnd(Stop{Status: Succeeded, Why: "the driver has ended"})
			return true
		}
		said = why
	case OverMemory, OverVMemory, OverLogs:
		end.Why += ": " + why
	default:
		return false
	}
	c.beginEnd(end)
	c.ending.culprit, c.ending.said = ct.id, said
	return true
}

// driven tells whether the application lives for its driver.
func (c *Core) driven() bool {
	for _, p := range c.pools {
		if p.spec.Role == spec.RoleDriver && p.wanted > 0 {
			return true
		}
	}
	return false
}

package core

import (
	"fmt"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// diagnose explains what an unfinished attempt waits for. Source: SchedulerApplicationAttempt.AMState,
// FiCaSchedulerApp.updateAppSkipNodeDiagnostics.
func (c *Cluster) diagnose(t *attempt) string {
	a := t.app
	switch t.state {
	case pb.AttemptState_APP_ATTEMPT_ALLOCATED:
		return "Scheduler has assigned a container for AM, waiting for AM container to be launched"
	case pb.AttemptState_APP_ATTEMPT_LAUNCHED:
		if a.unmanaged() {
			return "User launched the Application Master, since it's unmanaged. "
		}
		return "AM container is launched, waiting for AM container to Register with RM"
	case pb.AttemptState_APP_ATTEMPT_SCHEDULED:
	default:
		return ""
	}
	q := a.queue
	if !c.mayActivate(a) {
		return fmt.Sprintf("Application is added to the scheduler and is not yet activated. Queue's AM resource limit exceeded.  "+
			"Details : AM Partition = <DEFAULT_PARTITION>; AM Resource Request = %s; Queue Resource Limit for AM = %s; "+
			"User AM Resource Limit of the queue = %s; Queue AM Resource Usage = %s; ",
			text(a.amResource), text(c.amLimit(q)), text(c.amLimit(q)), text(q.amUsed))
	}
	total := c.labelled[""]
	used := 0.0
	if total.MemoryMiB > 0 {
		used = 100 * float64(q.used.MemoryMiB) / float64(total.MemoryMiB)
	}
	return fmt.Sprintf("Application is Activated, waiting for resources to be assigned for AM.  Details : AM Partition = <DEFAULT_PARTITION> ; "+
		"Partition Resource = %s ; Queue's Absolute capacity = %.1f %% ; Queue's Absolute used capacity = %.1f %% ; Queue's Absolute max capacity = %.1f %% ; "+
		"Queue's capacity (absolute resource) = %s ; Queue's used capacity (absolute resource) = %s ; Queue's max capacity (absolute resource) = %s ; ",
		text(total), q.Capacity, used, q.MaxCapacity, text(scaled(total, q.Capacity/100)), text(q.used), text(c.limit(q)))
}

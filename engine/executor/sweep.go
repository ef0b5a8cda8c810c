package executor

import (
	"context"
	"fmt"
	"time"
)

// expect says that a task will have a command: what that starts in its first moment is its
// own already.
func (c *child) expect(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks[taskMark(r.task.String(), fmt.Sprint(r.attempt))] = true
	c.commands[r.call] = nil
}

// register says which command that is, and gives it the signals that came before.
func (c *child) register(r *run, k *command) {
	c.mu.Lock()
	early := c.early[r.call]
	delete(c.early, r.call)
	c.commands[r.call] = k
	c.mu.Unlock()
	for _, sig := range early {
		k.signal(sig)
	}
}

func (c *child) unregister(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tasks, taskMark(r.task.String(), fmt.Sprint(r.attempt)))
	delete(c.commands, r.call)
	delete(c.early, r.call)
	select {
	case c.ended <- struct{}{}:
	default:
	}
}

func taskMark(task, attempt string) string { return task + "#" + attempt }

// sweepEvery is how often what commands left behind is looked for.
const sweepEvery = time.Second

// sweep kills what finished commands left behind: processes that left the
// command's group (setsid) and fell to this process. Their environment tells whose
// they are. One that hides that lives until the executor ends. When no more commands end
// it looks once again, thoroughly.
func (c *child) sweep(ctx context.Context) {
	for again := false; ; {
		if !again {
			select {
			case <-c.ended:
			case <-ctx.Done():
				return
			}
		}
		if !pause(ctx, sweepEvery) {
			return
		}
		look := !again
		select {
		case <-c.ended:
			look = true
		default:
		}
		if again = look; c.family == nil {
			continue
		}
		c.family.killStrays(ctx, !look, func(pid int) bool {
			task := environ(pid, EnvTask)
			c.mu.Lock()
			defer c.mu.Unlock()
			return task != "" && !c.tasks[taskMark(task, environ(pid, EnvAttempt))]
		})
	}
}

package engine

import (
	"context"

	"github.com/yarnd/yarnd/engine/client"
)

// Held is a lock, or a permit of a semaphore, of this client: see [Client.Lock].
type Held = client.Held

// Lock waits for the lock of that name, which one client of the cluster has at a time.
// Those that wait get it in the order in which they asked. It is not reentrant.
//
// The lock is the client's until Release, or until its session ends: when it is closed,
// dies, or the scheduler has not heard of it for its lease of a minute. [Held.Lost] then
// tells, perhaps late, as a client that is cut off cannot know at once. So have what the
// lock guards refuse what is done under an older lock than the last it saw:
// [Held.Token] grows with each grant.
func (c *Client) Lock(ctx context.Context, name string) (*Held, error) {
	return c.c.Acquire(ctx, name, 1)
}

// Semaphore waits for one of so many permits of the semaphore of that name; all who use
// it must say the same number. Otherwise it is like Lock, which is one of one permit.
func (c *Client) Semaphore(ctx context.Context, name string, permits int) (*Held, error) {
	return c.c.Acquire(ctx, name, permits)
}

// SetEvent sets the event of that name: whoever waits for it goes on, and nobody waits
// until ClearEvent. It stays set when this client leaves, not when the scheduler is
// replaced.
func (c *Client) SetEvent(ctx context.Context, name string) error {
	return c.c.SetEvent(ctx, name, true)
}

// ClearEvent has those wait that ask from now on.
func (c *Client) ClearEvent(ctx context.Context, name string) error {
	return c.c.SetEvent(ctx, name, false)
}

// WaitEvent waits until the event of that name is set.
func (c *Client) WaitEvent(ctx context.Context, name string) error {
	return c.c.WaitEvent(ctx, name)
}

package server

import (
	"testing"

	"github.com/yarnd/yarnd/engine/wire"
)

// A scheduler whose memory is full says so, and goes on with what it has.
func TestMemoryFull(t *testing.T) {
	c := start(t, Options{Memory: 1})
	client := c.client("ann", "")
	job := client.newJob("")
	client.refused(submit(batch(job, 0, 10)), wire.TooLarge)
	client.call(locate(job))
	roomy := start(t, Options{Memory: 1 << 40}).client("ann", "")
	roomy.tasks(roomy.newJob(""), 0, 10)
}

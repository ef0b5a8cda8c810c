package cli

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
)

// watchEvery is how often a watch looks.
const watchEvery = 2 * time.Second

// clearScreen is ECMA-48: the cursor home, and everything after it erased.
const clearScreen = "\x1b[H\x1b[2J"

// watch shows an application again and again, on a terminal in place, until it has
// ended or ctx has.
func (c *command) watch(ctx context.Context, client *edgeclient.Client, r edgeclient.Report, show func(io.Writer, edgeclient.Report) error) error {
	place := terminal(c.Out)
	for first := true; ; first = false {
		var b bytes.Buffer
		if place {
			b.WriteString(clearScreen)
		} else if !first && (c.output == "table" || c.output == "wide") {
			b.WriteByte('\n')
		}
		if err := show(&b, r); err != nil {
			return err
		}
		if _, err := c.Out.Write(b.Bytes()); err != nil {
			return outputLost(err)
		}
		if r.State.Ended() {
			return nil
		}
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now, err := client.Report(ctx, r.ID)
		switch {
		case err == nil:
			r = now
		case edgeclient.CodeOf(err) == edgeclient.TimedOut && ctx.Err() == nil:
			c.progress("%v", err) // a restart of the ResourceManager ends no watch
		default:
			return err
		}
	}
}

package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report writes a table of hosts and daemons for a person to read.
func (c *Cluster) Report(ctx context.Context, w io.Writer) error {
	boxes, err := containers(c.pool, c.spec.Name)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "HOST\tCONTAINER\tADDRESS\tSTATE\tDAEMONS (Hadoop %s)\n", c.spec.Hadoop)
	for _, h := range c.spec.Composition.Hosts {
		state := "missing"
		if box, ok := boxes[c.Container(h.Name)]; ok {
			state = box.State
		}
		var daemons []string
		for _, d := range h.Daemons {
			text := d.Name
			if d.WebPort != 0 {
				text += " " + c.Web(h.Name, d)
			}
			if running, err := c.Running(ctx, h.Name, d.Name); state != "running" || err != nil || !running {
				text = d.Name + " DOWN"
			}
			daemons = append(daemons, text)
		}
		if h.Edge {
			daemons = append(daemons, "edge node")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", h.Name, c.Container(h.Name), c.addrs[h.Name], state, strings.Join(daemons, ", "))
	}
	return table.Flush()
}

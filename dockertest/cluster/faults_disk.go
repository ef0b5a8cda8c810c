package cluster

import (
	"context"
	"fmt"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// ballast is the file that fills a small disk.
const ballast = layout.SmallDisk + "/ballast"

// FillDisk fills the small disk of a host up to the last free MB that it leaves. It holds until FreeDisk.
func (c *Cluster) FillDisk(ctx context.Context, host string, leaveMB int) error {
	h, err := c.spec.Composition.Host(host)
	if err != nil {
		return err
	}
	if h.SmallDiskMB == 0 {
		return fmt.Errorf("host %s has no small disk", host)
	}
	script := fmt.Sprintf("free=$(df -m --output=avail %[1]s | tail -1) && fallocate -l $((free - %[3]d))MiB %[2]s", layout.SmallDisk, ballast, leaveMB)
	if leaveMB == 0 { // and what is less than 1 MB
		script += "; cat /dev/zero >> " + ballast + " 2>/dev/null || true"
	}
	_, err = c.Output(ctx, host, "", "sh", "-c", script)
	return err
}

// FreeDisk undoes FillDisk.
func (c *Cluster) FreeDisk(ctx context.Context, host string) error {
	_, err := c.Output(ctx, host, "", "rm", "-f", ballast)
	return err
}

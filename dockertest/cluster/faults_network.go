package cluster

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// chain is the iptables chain that has our rules on a host.
const chain = "yarnd-cut"

// Cut loses every packet from one host to another, without a word to either: connections between them stall and new ones
// time out. The other way packets arrive; Partition cuts both. It holds until Heal.
func (c *Cluster) Cut(ctx context.Context, from, to string) error {
	if _, ok := c.addrs[to]; !ok {
		return fmt.Errorf("cut %s off from %s: there is no such host", from, to)
	}
	script := fmt.Sprintf("iptables -w -N %[1]s 2>/dev/null && iptables -w -I OUTPUT -j %[1]s; iptables -w -A %[1]s -d %[2]s -j DROP", chain, c.Addr(to))
	_, err := c.Output(ctx, from, "", "sh", "-c", script)
	return err
}

// Partition loses every packet between two hosts.
func (c *Cluster) Partition(ctx context.Context, a, b string) error {
	if err := c.Cut(ctx, a, b); err != nil {
		return err
	}
	return c.Cut(ctx, b, a)
}

// Isolate loses every packet between a host and all others of the cluster.
func (c *Cluster) Isolate(ctx context.Context, host string) error {
	for _, h := range c.spec.Composition.Hosts {
		if h.Name == host {
			continue
		}
		if err := c.Partition(ctx, host, h.Name); err != nil {
			return err
		}
	}
	return nil
}

// Heal undoes every Cut.
func (c *Cluster) Heal(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range c.spec.Composition.Hosts {
		group.Go(func() error { return c.healHost(ctx, h) })
	}
	return group.Wait()
}

func (c *Cluster) healHost(ctx context.Context, h layout.Host) error {
	script := fmt.Sprintf("iptables -w -L %[1]s >/dev/null 2>&1 || exit 0; iptables -w -F %[1]s && iptables -w -D OUTPUT -j %[1]s && iptables -w -X %[1]s", chain)
	_, err := c.Output(ctx, h.Name, "", "sh", "-c", script)
	return err
}

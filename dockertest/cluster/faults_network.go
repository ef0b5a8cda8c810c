package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

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

// Lost is how many packets were lost on all cuts that there are now.
func (c *Cluster) Lost(ctx context.Context) (int, error) {
	return c.counted(ctx, chain, c.spec.Composition.Hosts)
}

// counted is how many packets the rules of a chain have met, on those of the hosts that have it.
func (c *Cluster) counted(ctx context.Context, chain string, hosts []layout.Host) (sum int, err error) {
	for _, h := range hosts {
		text, err := c.Output(ctx, h.Name, "", "sh", "-c", "iptables -w -vxn -L "+chain+" 2>/dev/null || true")
		if err != nil {
			return sum, err
		}
		sum += packets(text)
	}
	return sum, nil
}

// packets adds up the first column of what iptables -vxn -L says of a chain: two lines of head, then a line for each rule.
func packets(text string) (sum int) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			n, _ := strconv.Atoi(f[0]) // the lines of head have no number there
			sum += n
		}
	}
	return sum
}

// watch is the iptables chain that counts on a host.
const watch = "yarnd-watch"

// Watch counts from now on the packets that processes of a user send to a port of a host, wherever they run, until Unwatch.
// What has come so far Watched tells: 0 for hosts that were not watched.
func (c *Cluster) Watch(ctx context.Context, user, host string, port int) error {
	if _, ok := c.addrs[host]; !ok {
		return fmt.Errorf("watch %s: there is no such host", host)
	}
	script := fmt.Sprintf("iptables -w -N %[1]s 2>/dev/null && iptables -w -I OUTPUT -j %[1]s; iptables -w -A %[1]s -m owner --uid-owner %[2]s -p tcp -d %[3]s --dport %[4]d",
		watch, user, c.Addr(host), port)
	return c.onNodes(ctx, script)
}

// Watched is how many packets there were since Watch.
func (c *Cluster) Watched(ctx context.Context) (int, error) {
	return c.counted(ctx, watch, c.spec.Composition.With(layout.NodeManager))
}

// Unwatch ends what Watch began.
func (c *Cluster) Unwatch(ctx context.Context) error { return c.onNodes(ctx, dropChain(watch)) }

// onNodes runs a script on all hosts that have NodeManagers.
func (c *Cluster) onNodes(ctx context.Context, script string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range c.spec.Composition.With(layout.NodeManager) {
		group.Go(func() error {
			_, err := c.Output(ctx, h.Name, "", "sh", "-c", script)
			return err
		})
	}
	return group.Wait()
}

// dropChain is a script that removes a chain, if it is there.
func dropChain(name string) string {
	return fmt.Sprintf("iptables -w -L %[1]s >/dev/null 2>&1 || exit 0; iptables -w -F %[1]s && iptables -w -D OUTPUT -j %[1]s && iptables -w -X %[1]s", name)
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
	_, err := c.Output(ctx, h.Name, "", "sh", "-c", dropChain(chain))
	return err
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// haState asks a ResourceManager or NameNode whether it is "active" or "standby". One that is alone is active.
func (c *Cluster) haState(ctx context.Context, host string, d layout.Daemon) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	web := c.Web(host, d)
	if d.Name == layout.ResourceManager.Name {
		var answer struct {
			ClusterInfo struct {
				HAState string `json:"haState"`
			} `json:"clusterInfo"`
		}
		err := c.GetJSON(ctx, web+"/ws/v1/cluster/info", &answer)
		return strings.ToLower(answer.ClusterInfo.HAState), err
	}
	var answer struct{ Beans []struct{ State string } }
	err := c.GetJSON(ctx, web+"/jmx?"+url.Values{"qry": {"Hadoop:service=NameNode,name=NameNodeStatus"}}.Encode(), &answer)
	if err == nil && len(answer.Beans) != 1 {
		err = fmt.Errorf("the NameNode at %s is starting", web)
	}
	if err != nil {
		return "", err
	}
	return answer.Beans[0].State, nil
}

// active returns the host on which the daemon is active, and an error while none is.
func (c *Cluster) active(ctx context.Context, d layout.Daemon) (string, error) {
	var all []error
	for _, h := range c.spec.Composition.With(d) {
		state, err := c.haState(ctx, h.Name, d)
		if err == nil && state == "active" {
			return h.Name, nil
		}
		if err == nil {
			err = fmt.Errorf("the %s on %s is %s", d.Name, h.Name, state)
		}
		all = append(all, err)
	}
	return "", fmt.Errorf("no %s is active: %w", d.Name, errors.Join(all...))
}

// awaitActive waits until one on another host than not is active, and returns its host.
func (c *Cluster) awaitActive(ctx context.Context, d layout.Daemon, not string) (string, error) {
	for {
		host, err := c.active(ctx, d)
		if err == nil && host != not {
			return host, nil
		}
		if waited := pause(ctx, 2*poll); waited != nil {
			return "", fmt.Errorf("%w: %w", waited, err)
		}
	}
}

// failover kills the active one, waits until the other one is active, and starts the killed one again.
func (c *Cluster) failover(ctx context.Context, d layout.Daemon) (active string, gap time.Duration, err error) {
	old, err := c.active(ctx, d)
	if err != nil {
		return "", 0, err
	}
	if err := c.KillDaemon(ctx, old, d.Name); err != nil {
		return "", 0, err
	}
	killed := time.Now()
	if active, err = c.awaitActive(ctx, d, old); err != nil {
		return "", 0, err
	}
	return active, time.Since(killed), c.StartDaemon(ctx, old, d.Name)
}

// ActiveRM returns the host of the ResourceManager that is active, and an error while none is.
func (c *Cluster) ActiveRM(ctx context.Context) (string, error) {
	return c.active(ctx, layout.ResourceManager)
}

// AwaitActiveRM waits until a ResourceManager on another host than not is active, and returns its host.
func (c *Cluster) AwaitActiveRM(ctx context.Context, not string) (string, error) {
	return c.awaitActive(ctx, layout.ResourceManager, not)
}

// Failover kills the active ResourceManager, waits until the other one is active, and starts the killed one again, as a
// standby. It returns the host of the new one, and how long there was none.
func (c *Cluster) Failover(ctx context.Context) (active string, gap time.Duration, err error) {
	return c.failover(ctx, layout.ResourceManager)
}

// ActiveNN, AwaitActiveNN and FailoverNN are ActiveRM, AwaitActiveRM and Failover for NameNodes.
func (c *Cluster) ActiveNN(ctx context.Context) (string, error) {
	return c.active(ctx, layout.NameNode)
}

// AwaitActiveNN waits until a NameNode on another host than not is active, and returns its host.
func (c *Cluster) AwaitActiveNN(ctx context.Context, not string) (string, error) {
	return c.awaitActive(ctx, layout.NameNode, not)
}

// FailoverNN kills the active NameNode, waits until the other one is active, and starts the killed one again.
func (c *Cluster) FailoverNN(ctx context.Context) (active string, gap time.Duration, err error) {
	return c.failover(ctx, layout.NameNode)
}

// SwitchNN has the two NameNodes change their parts in order, as an administrator does (hdfs haadmin -failover), and
// returns the host of the active one.
func (c *Cluster) SwitchNN(ctx context.Context) (active string, err error) {
	old, err := c.AwaitActiveNN(ctx, "")
	if err != nil {
		return "", err
	}
	for _, h := range c.spec.Composition.With(layout.NameNode) {
		if h.Name == old {
			continue
		}
		err := c.asDaemon(ctx, h, layout.NameNode, nil, "hadoop-java", "org.apache.hadoop.hdfs.tools.DFSHAAdmin", "-failover", old, h.Name)
		if err != nil {
			return "", err
		}
		return c.AwaitActiveNN(ctx, old)
	}
	return "", fmt.Errorf("composition %s has no other NameNode than that on %s", c.spec.Composition.Name, old)
}

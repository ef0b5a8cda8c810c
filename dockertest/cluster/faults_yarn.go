package cluster

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// Decommission takes a NodeManager out of service. With grace above 0 its containers may run on for that long, and
// application masters are told; otherwise they are killed. It holds until Recommission.
func (c *Cluster) Decommission(ctx context.Context, host string, grace time.Duration) error {
	h, err := c.spec.Composition.Host(host)
	if err != nil {
		return err
	}
	if err := c.exclude(c.spec.Composition.HostName(h)); err != nil {
		return err
	}
	args := []string{"-refreshNodes"}
	if grace > 0 {
		args = append(args, "-g", strconv.Itoa(int(grace.Seconds())), "-server")
	}
	return c.rmAdmin(ctx, args...)
}

// Recommission takes all nodes back into service. One that was out of it has to be started again.
func (c *Cluster) Recommission(ctx context.Context) error {
	if err := c.exclude(); err != nil {
		return err
	}
	return c.rmAdmin(ctx, "-refreshNodes")
}

// exclude writes the ResourceManagers' exclude files. They are in folders that the hosts mount.
func (c *Cluster) exclude(names ...string) error {
	text := strings.Join(append(names, ""), "\n")
	for _, h := range c.spec.Composition.With(layout.ResourceManager) {
		if err := os.WriteFile(filepath.Join(c.dir("conf", h.Name), layout.ExcludeFile), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// sentAway says whether any node is out of service, or about to be.
func (c *Cluster) sentAway(ctx context.Context) bool {
	for _, h := range c.spec.Composition.With(layout.NodeManager) {
		if state, err := c.NodeState(ctx, h.Name); err == nil && strings.HasPrefix(state, "DECOMMISSION") {
			return true
		}
	}
	return false
}

func (c *Cluster) rmAdmin(ctx context.Context, args ...string) error {
	name, err := c.AwaitActiveRM(ctx, "")
	if err != nil {
		return err
	}
	host, err := c.spec.Composition.Host(name)
	if err != nil {
		return err
	}
	return c.asDaemon(ctx, host, layout.ResourceManager, nil,
		slices.Concat([]string{"hadoop-java", "org.apache.hadoop.yarn.client.cli.RMAdminCLI"}, args)...)
}

// NodeState returns what the active ResourceManager says of a host's NodeManager: "RUNNING", "DECOMMISSIONING",
// "LOST", …, and "" if it does not know it. Of several under one name, of which all but one are past, the live one counts.
func (c *Cluster) NodeState(ctx context.Context, host string) (string, error) {
	h, err := c.spec.Composition.Host(host)
	if err != nil {
		return "", err
	}
	rm, err := c.ActiveRM(ctx)
	if err != nil {
		return "", err
	}
	nodes, err := c.rmNodes(ctx, c.Web(rm, layout.ResourceManager))
	if err != nil {
		return "", err
	}
	state := ""
	for _, n := range nodes {
		if n.NodeHostName == c.spec.Composition.HostName(h) && (state == "" || n.State == "RUNNING") {
			state = n.State
		}
	}
	return state, nil
}

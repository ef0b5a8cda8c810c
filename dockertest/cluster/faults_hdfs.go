package cluster

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// SafeMode makes the active NameNode refuse every change, or lets it accept them again.
func (c *Cluster) SafeMode(ctx context.Context, on bool) error {
	verb := "leave"
	if on {
		verb = "enter"
	}
	return c.dfsAdmin(ctx, "-safemode", verb)
}

// SpaceQuota lets a folder of HDFS have so many bytes, replicas included; 0 is no bound again. Nothing does that but this.
func (c *Cluster) SpaceQuota(ctx context.Context, path string, bytes int64) error {
	if bytes == 0 {
		return c.dfsAdmin(ctx, "-clrSpaceQuota", path)
	}
	return c.dfsAdmin(ctx, "-setSpaceQuota", strconv.FormatInt(bytes, 10), path)
}

// dfsAdmin orders the active NameNode about.
func (c *Cluster) dfsAdmin(ctx context.Context, args ...string) error {
	name, err := c.AwaitActiveNN(ctx, "")
	if err != nil {
		return err
	}
	host, err := c.spec.Composition.Host(name)
	if err != nil {
		return err
	}
	return c.asDaemon(ctx, host, layout.NameNode, nil, slices.Concat(
		[]string{"hadoop-java", "org.apache.hadoop.hdfs.tools.DFSAdmin", "-fs", "hdfs://" + c.spec.Composition.HostName(host) + ":8020"}, args)...)
}

// Complaints is how many lines of the active NameNode's log have a word, such as the name of an exception, and name one of the hosts
// of NodeManagers as whom it was said to.
func (c *Cluster) Complaints(ctx context.Context, word string) (n int, err error) {
	var addrs []string
	for _, h := range c.spec.Composition.With(layout.NodeManager) {
		addrs = append(addrs, c.Addr(h.Name)+":")
	}
	host, err := c.ActiveNN(ctx)
	if err != nil {
		return 0, err
	}
	text, err := c.Output(ctx, host, "", "grep", "-F", word, layout.LogDir+"/"+layout.NameNode.Name+".log")
	if text == "" {
		return 0, nil // grep fails where it finds nothing
	}
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(addrs, func(a string) bool { return strings.Contains(line, a) }) {
			n++
		}
	}
	return n, err
}

// inSafeMode says whether the active NameNode refuses changes.
func (c *Cluster) inSafeMode(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	host, err := c.ActiveNN(ctx)
	if err != nil {
		return false, err
	}
	state, err := c.nameNodeState(ctx, c.Web(host, layout.NameNode))
	return state.FSState == "safeMode", err
}

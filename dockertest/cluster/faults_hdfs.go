package cluster

import (
	"context"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// SafeMode makes the NameNode refuse every change, or lets it accept them again.
func (c *Cluster) SafeMode(ctx context.Context, on bool) error {
	verb := "leave"
	if on {
		verb = "enter"
	}
	host := c.spec.Composition.With(layout.NameNode)[0].Name
	_, err := c.Output(ctx, host, layout.NameNode.User, "hadoop-java", "org.apache.hadoop.hdfs.tools.DFSAdmin", "-safemode", verb)
	return err
}

// inSafeMode says whether the NameNode refuses changes.
func (c *Cluster) inSafeMode(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	state, err := c.nameNodeState(ctx, c.Web(c.spec.Composition.With(layout.NameNode)[0].Name, layout.NameNode))
	return state.FSState == "safeMode", err
}

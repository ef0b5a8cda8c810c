package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// away is a way for HDFS to be away: what begins and what ends it, and how it shows that somebody has met it.
type away struct {
	begin, end func(*hadoop, context.Context) error
	daemon     layout.Daemon // containers send packets to it, at port; or
	port       int
	word       string // the NameNode's log says this to a node
}

const (
	namePort, dataPort = 8020, 9866
	// containersRunAs is the account that containers have. NodeManagers have it, too, which localize for them.
	containersRunAs = "yarn"
)

var aways = []away{
	{onNameNode((*hadoop).PauseDaemon), onNameNode((*hadoop).ResumeDaemon), layout.NameNode, namePort, ""},
	{onNameNode((*hadoop).KillDaemon), onNameNode((*hadoop).StartDaemon), layout.NameNode, namePort, ""},
	{
		func(h *hadoop, ctx context.Context) error { return h.SafeMode(ctx, true) },
		func(h *hadoop, ctx context.Context) error { return h.SafeMode(ctx, false) }, layout.Daemon{}, 0, "SafeModeException",
	},
	{onDataNodes((*hadoop).PauseDaemon), onDataNodes((*hadoop).ResumeDaemon), layout.DataNode, dataPort, ""},
	{onDataNodes((*hadoop).KillDaemon), onDataNodes((*hadoop).StartDaemon), layout.DataNode, dataPort, ""},
}

// passes are more of them where there are two NameNodes: one is away, and the other goes on; or they change their parts.
var passes = []away{
	{onActiveNameNode((*hadoop).KillDaemon), onNameNode((*hadoop).StartDaemon), layout.NameNode, namePort, ""},
	{ // it may end when it cannot write
		onActiveNameNode((*hadoop).PauseDaemon),
		func(h *hadoop, ctx context.Context) error { return h.Repair(ctx) }, layout.NameNode, namePort, "",
	},
	{
		func(h *hadoop, ctx context.Context) error { _, err := h.SwitchNN(ctx); return err },
		func(*hadoop, context.Context) error { return nil }, layout.NameNode, namePort, "",
	},
}

// ways are those that this cluster has.
func (h *hadoop) ways() []away {
	if len(h.Composition().With(layout.NameNode)) < 2 {
		return aways
	}
	return slices.Concat(aways, passes)
}

// noRoom has the client's home have no room.
var noRoom = away{
	func(h *hadoop, ctx context.Context) error { return h.SpaceQuota(ctx, "/user/"+onHadoop, 1) },
	func(h *hadoop, ctx context.Context) error { return h.SpaceQuota(ctx, "/user/"+onHadoop, 0) }, layout.Daemon{}, 0, "QuotaExceededException",
}

func (h *hadoop) outages() int { return len(h.ways()) }

func (h *hadoop) outage(ctx context.Context, which int) (outage, error) {
	o := &hadoopOutage{h: h, a: noRoom}
	if which != fullHDFS {
		o.a = h.ways()[which]
	}
	if err := o.a.begin(h, ctx); err != nil {
		return nil, err
	}
	var err error
	if o.a.word != "" { // what it was told before it began is not told to somebody by it
		o.before, err = h.Complaints(ctx, o.a.word)
	}
	for _, host := range h.Composition().With(o.a.daemon) {
		err = errors.Join(err, h.Watch(ctx, containersRunAs, host.Name, o.a.port))
	}
	if err != nil {
		return nil, errors.Join(err, o.end(ctx))
	}
	return o, nil
}

// hadoopOutage is one that goes on.
type hadoopOutage struct {
	h      *hadoop
	a      away
	before int // complaints
	hit    bool
	looked time.Time
}

// met tells whether a container has sent something to the daemon that is away, or was refused by it. That the daemon
// lived is known otherwise: it was told to stop, or has said that it did what it was told.
func (o *hadoopOutage) met(ctx context.Context) bool {
	const often = 500 * time.Millisecond
	if o.hit || time.Since(o.looked) < often {
		return o.hit
	}
	n, err := 0, error(nil)
	if o.a.word != "" {
		n, err = o.h.Complaints(ctx, o.a.word)
	} else {
		n, err = o.h.Watched(ctx)
	}
	o.looked, o.hit = time.Now(), err == nil && n > o.before
	return o.hit
}

func (o *hadoopOutage) end(ctx context.Context) error {
	err := o.a.end(o.h, ctx)
	if o.a.word == "" {
		err = errors.Join(err, o.h.Unwatch(ctx))
	}
	return err
}

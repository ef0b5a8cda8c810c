package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/yarnd/yarnd/dockertest/layout"
)

func (h *hadoop) hasWires() bool { return true }

func (h *hadoop) host(node int) string { return h.nodes[node] }

func (h *hadoop) rm(ctx context.Context) string {
	host, err := h.ActiveRM(ctx)
	if err != nil {
		return ""
	}
	return host
}

func (h *hadoop) cut(ctx context.Context, from, to string) error { return h.Cut(ctx, from, to) }

func (h *hadoop) heal(ctx context.Context) (lost int, err error) {
	lost, err = h.Lost(ctx)
	return lost, errors.Join(err, h.Heal(ctx))
}

// failOver kills the active ResourceManager; for how long there is none does not depend on us.
func (h *hadoop) failOver(ctx context.Context, _ time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, daemonPatience)
	defer cancel()
	_, gap, err := h.Failover(ctx)
	return gap, err
}

func (h *hadoop) crash(ctx context.Context, node int) error {
	return h.KillDaemon(ctx, h.nodes[node], layout.NodeManager.Name)
}

func (h *hadoop) restart(ctx context.Context, node int) error {
	return h.StartDaemon(ctx, h.nodes[node], layout.NodeManager.Name)
}

// deafen cuts a node off from the ResourceManagers, both ways.
func (h *hadoop) deafen(ctx context.Context, node int, on bool) error {
	if !on {
		return h.Heal(ctx)
	}
	var err error
	for _, rm := range h.Composition().With(layout.ResourceManager) {
		err = errors.Join(err, h.Partition(ctx, h.nodes[node], rm.Name))
	}
	return err
}

func (h *hadoop) power(ctx context.Context, node int, on bool) error {
	if !on {
		return h.StopHost(ctx, h.nodes[node])
	}
	if err := h.StartHost(ctx, h.nodes[node]); err != nil {
		return err
	}
	h.agents[node].stop()
	a, err := startAgent(h.Cluster, h.nodes[node])
	if err == nil {
		h.agents[node] = a
	}
	return err
}

func onNameNode(do func(*hadoop, context.Context, string, string) error) func(*hadoop, context.Context) error {
	return onEach(layout.NameNode, do)
}

func onActiveNameNode(do func(*hadoop, context.Context, string, string) error) func(*hadoop, context.Context) error {
	return func(h *hadoop, ctx context.Context) error {
		host, err := h.ActiveNN(ctx)
		if err != nil {
			return err
		}
		return do(h, ctx, host, layout.NameNode.Name)
	}
}

func onDataNodes(do func(*hadoop, context.Context, string, string) error) func(*hadoop, context.Context) error {
	return onEach(layout.DataNode, do)
}

func onEach(d layout.Daemon, do func(*hadoop, context.Context, string, string) error) func(*hadoop, context.Context) error {
	return func(h *hadoop, ctx context.Context) (err error) {
		for _, host := range h.Composition().With(d) {
			err = errors.Join(err, do(h, ctx, host.Name, d.Name))
		}
		return err
	}
}

func (h *hadoop) hasDisk(node int) bool {
	return slices.ContainsFunc(h.Composition().Hosts, func(host layout.Host) bool { return host.Name == h.nodes[node] && host.SmallDiskMB > 0 })
}

func (h *hadoop) fill(ctx context.Context, node int) error { return h.FillDisk(ctx, h.nodes[node], 0) }

func (h *hadoop) free(ctx context.Context, node int) error { return h.FreeDisk(ctx, h.nodes[node]) }

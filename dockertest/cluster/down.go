package cluster

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/dockerd"
)

// Down removes the named cluster: containers, volumes, network and generated files. If it was the last container of an
// engine that we started, that engine ends too. What does not exist is no error.
func Down(ctx context.Context, name string, log *slog.Logger) error {
	dir, err := cache.Find()
	if err != nil {
		return err
	}
	unlock, err := dir.Lock(ctx, "cluster-"+name)
	if err != nil {
		return err
	}
	defer unlock()
	pool, err := dockerd.Connect()
	if err != nil {
		return os.RemoveAll(dir.Path("clusters", name)) // no engine, no containers
	}
	if err := remove(pool, dir, name); err != nil {
		return err
	}
	stopped, err := dockerd.Stop(ctx, dir)
	if stopped && log != nil {
		log.Info("stopped the Docker engine that we had started: no container was left")
	}
	return err
}

// Names returns the clusters that have left a container, a network or a file behind, in order.
func Names() ([]string, error) {
	dir, err := cache.Find()
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	entries, err := os.ReadDir(dir.Path("clusters"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		found[e.Name()] = true
	}
	if pool, err := dockerd.Connect(); err == nil {
		boxes, err := pool.Client.ListContainers(docker.ListContainersOptions{
			All: true, Filters: map[string][]string{"label": {labelCluster}},
		})
		if err != nil {
			return nil, err
		}
		networks, err := pool.Client.ListNetworks()
		if err != nil {
			return nil, err
		}
		for _, box := range boxes {
			found[box.Labels[labelCluster]] = true
		}
		for _, n := range networks {
			if name := n.Labels[labelCluster]; name != "" {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func remove(pool *dockertest.Pool, dir cache.Dir, name string) error {
	boxes, err := containers(pool, name)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, box := range boxes {
		group.Go(func() error {
			err := pool.Client.RemoveContainer(docker.RemoveContainerOptions{ID: box.ID, Force: true, RemoveVolumes: true})
			if gone := (*docker.NoSuchContainer)(nil); errors.As(err, &gone) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	networks, err := pool.NetworksByName(networkName(name))
	if err != nil {
		return err
	}
	for _, n := range networks {
		if err := pool.RemoveNetwork(&n); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir.Path("clusters", name))
}

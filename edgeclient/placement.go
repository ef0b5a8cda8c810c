package edgeclient

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// sized is a kind of container, and how to say a smaller one.
type sized struct {
	role           string
	res            Resources
	memory, vcores string // formats of advice
}

// sizesOf are the containers that a request asks for.
func sizesOf(r Request) []sized {
	of := func(role string, res Resources) sized {
		return sized{role, res, "Try --" + role + "-memory %s", "Try --" + role + "-vcores %d"}
	}
	list := []sized{of("worker", r.Worker), of("scheduler", r.Scheduler), of("am", r.AM)}
	if r.Driver != "" {
		list = append(list, of(DriverPool, r.DriverSize))
	}
	for _, p := range r.Pools {
		list = append(list, sized{"pool " + p.Name, p.Size, "Try --pool " + p.Name + "=…,memory=%s", "Try --pool " + p.Name + "=…,vcores=%d"})
	}
	return list
}

// checkTypes refuses resources that the cluster does not have: the ResourceManager skips
// them without a word.
func (y *yarnCluster) checkTypes(ctx context.Context, r Request) error {
	named := map[string]string{} // resource → pool
	for _, p := range r.Pools {
		for name := range p.Named {
			named[name] = p.Name
		}
	}
	if len(named) == 0 {
		return nil
	}
	var types []*pb.ResourceTypeInfo
	err := y.call(ctx, "cannot tell which resources there are", func(ctx context.Context) (err error) {
		types, err = y.rm.ResourceTypes(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !slices.ContainsFunc(types, func(t *pb.ResourceTypeInfo) bool { return t.GetName() == name }) {
			return &Fault{Code: Refused, What: fmt.Sprintf("pool %s wants %s, which this cluster does not have (yarn.resource-types)", named[name], name), Next: "Ask an administrator, or leave it away"}
		}
	}
	return nil
}

// checkLabels refuses node labels that the cluster does not have, or the queue may not
// use.
func (y *yarnCluster) checkLabels(ctx context.Context, r Request) error {
	used := map[string]string{} // label → what wants it
	for _, p := range r.workerPools() {
		used[p.NodeLabel] = "pool " + p.Name
	}
	used[r.SchedulerLabel], used[r.AMLabel] = "the scheduler", "the application master"
	delete(used, "")
	if len(used) == 0 {
		return nil
	}
	var labels []*pb.NodeLabel
	var queue *pb.QueueInfo
	err := y.call(ctx, "cannot tell which node labels there are", func(ctx context.Context) (err error) {
		if labels, err = y.rm.NodeLabels(ctx); err == nil {
			queue, err = y.rm.Queue(ctx, &pb.GetQueueInfoRequest{QueueName: proto.String(r.Queue)})
		}
		return err
	})
	if err != nil {
		return err
	}
	var there []string
	for _, l := range labels {
		there = append(there, l.GetName())
	}
	for _, label := range slices.Sorted(maps.Keys(used)) {
		switch open := queue.GetAccessibleNodeLabels(); {
		case !slices.Contains(there, label):
			next := "Leave it away: the cluster has no node labels"
			if len(there) > 0 {
				next = "Use one of " + strings.Join(there, ", ")
			}
			return &Fault{Code: Refused, What: fmt.Sprintf("%s wants nodes with the label %q, of which there are none", used[label], label), Next: next}
		case !slices.Contains(open, "*") && !slices.Contains(open, label):
			return &Fault{Code: Refused, What: fmt.Sprintf("%s wants nodes with the label %q, which the queue %q may not use", used[label], label, r.Queue),
				Next: "Use another --queue, or ask an administrator"}
		}
	}
	return nil
}

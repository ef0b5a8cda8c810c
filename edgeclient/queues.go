package edgeclient

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// queued is a cluster that has queues.
type queued interface {
	move(ctx context.Context, id, queue string) error
	queues(ctx context.Context) ([]string, error)
}

// Move moves an application to another queue.
func (c *Client) Move(ctx context.Context, r Report, queue string) error {
	q, ok := c.cluster.(queued)
	switch {
	case !ok:
		return usagef("Leave it where it is", "%s has no queues", c.cluster.Name())
	case !queueRule.MatchString(queue):
		return usagef("Give the name of a queue, without spaces", "the queue %q cannot be used", queue)
	case r.State.Ended():
		return &Fault{Code: NotFound, What: fmt.Sprintf("%s has ended: %s", r.ID, r.Final), Next: "See yarnd list"}
	}
	return q.move(ctx, r.ID, queue)
}

// Queues lists the queues that take applications; none where there are none.
func (c *Client) Queues(ctx context.Context) ([]string, error) {
	if q, ok := c.cluster.(queued); ok {
		return q.queues(ctx)
	}
	return nil, nil
}

func (y *yarnCluster) move(ctx context.Context, app, queue string) error {
	id, err := yarn.ParseApplicationID(app)
	if err != nil {
		return &Fault{Code: Usage, What: "cannot move", Why: err}
	}
	if err := y.checkQueue(ctx, queue); err != nil {
		return err
	}
	return y.call(ctx, fmt.Sprintf("cannot move %s to the queue %q", app, queue), func(ctx context.Context) error {
		return y.rm.Move(ctx, id, queue)
	})
}

func (y *yarnCluster) queues(ctx context.Context) ([]string, error) {
	var root *pb.QueueInfo
	err := y.call(ctx, "cannot list queues", func(ctx context.Context) (err error) {
		root, err = y.rm.Queue(ctx, &pb.GetQueueInfoRequest{QueueName: proto.String("root"), IncludeChildQueues: proto.Bool(true), Recursive: proto.Bool(true)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return leaves(root, nil), nil
}

package edgeclient

import (
	"context"
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// checkACL refuses a queue to which this user may not submit. A cluster that says
// nothing of the queue, or does not answer, decides at the submission.
func (y *yarnCluster) checkACL(ctx context.Context, queue string) error {
	var acls []*pb.QueueUserACLInfo
	err := y.call(ctx, "cannot see who may use the queues", func(ctx context.Context) (err error) {
		acls, err = y.rm.QueueACLs(ctx)
		return err
	})
	if CodeOf(err) == Interrupted {
		return err
	}
	if err != nil {
		y.opts.Log.Debug("queues' access lists are unknown", "err", err)
		return nil
	}
	known, may, others := mayUse(acls, queue)
	if !known || may {
		return nil
	}
	next := "Ask an administrator for access"
	if len(others) > 0 {
		next = "Try --queue " + strings.Join(others, " or ")
	}
	return &Fault{Code: Auth, What: fmt.Sprintf("%s may not submit to the queue %q", y.user, queue), Next: next}
}

// mayUse looks a queue up by its name or path among those whose access lists are
// known. Submitting takes either right, as RMAppManager has it. others are leaves or
// parents that would do.
func mayUse(acls []*pb.QueueUserACLInfo, queue string) (known, may bool, others []string) {
	const most = 10
	for _, a := range acls {
		allowed := false
		for _, op := range a.GetUserAcls() {
			allowed = allowed || op == pb.QueueACL_QACL_SUBMIT_APPLICATIONS || op == pb.QueueACL_QACL_ADMINISTER_QUEUE
		}
		name := a.GetQueueName()
		if sameQueue(name, queue) {
			known, may = true, may || allowed
		} else if allowed && name != "root" && len(others) < most && !hasChild(acls, name) {
			others = append(others, name)
		}
	}
	return known, may, others
}

// sameQueue compares names of which either may be a path, root.a.b, or its end.
func sameQueue(a, b string) bool {
	return a == b || strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

func hasChild(acls []*pb.QueueUserACLInfo, queue string) bool {
	for _, a := range acls {
		if strings.HasPrefix(a.GetQueueName(), queue+".") {
			return true
		}
	}
	return false
}

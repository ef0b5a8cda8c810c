package edgeclient

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func (y *yarnCluster) Check(ctx context.Context, r Request, largest Resources) error {
	if err := y.checkProtection(r.Strict); err != nil {
		return err
	}
	for _, x := range sizesOf(r) {
		if x.res.Memory > largest.Memory {
			return &Fault{Code: Refused,
				What: fmt.Sprintf("%s memory %s exceeds the cluster's largest container of %s (yarn.scheduler.maximum-allocation-mb)", x.role, FormatBytes(x.res.Memory), FormatBytes(largest.Memory)),
				Next: fmt.Sprintf(x.memory, FormatBytes(largest.Memory))}
		}
		if x.res.VCores > largest.VCores {
			return &Fault{Code: Refused,
				What: fmt.Sprintf("%s of %d vcores exceeds the cluster's largest container of %d (yarn.scheduler.maximum-allocation-vcores)", x.role, x.res.VCores, largest.VCores),
				Next: fmt.Sprintf(x.vcores, largest.VCores)}
		}
	}
	if err := checkScheme(y.conf); err != nil {
		return err
	}
	y.noteAccess(r)
	if err := y.checkQueue(ctx, r.Queue); err != nil {
		return err
	}
	if err := y.checkACL(ctx, r.Queue); err != nil {
		return err
	}
	if err := y.checkTypes(ctx, r); err != nil {
		return err
	}
	if err := y.checkLabels(ctx, r); err != nil {
		return err
	}
	if err := y.checkOffers(ctx, r); err != nil {
		return err
	}
	return y.checkClock(ctx)
}

// checkQueue asks for the queue, and when there is none, for those that are.
func (y *yarnCluster) checkQueue(ctx context.Context, queue string) error {
	ask := func(name string, children bool) (info *pb.QueueInfo, err error) {
		err = y.call(ctx, fmt.Sprintf("queue %q", name), func(ctx context.Context) (err error) {
			info, err = y.rm.Queue(ctx, &pb.GetQueueInfoRequest{QueueName: proto.String(name), IncludeChildQueues: proto.Bool(children), Recursive: proto.Bool(children)})
			return err
		})
		return info, err
	}
	info, err := ask(queue, false)
	if err != nil && CodeOf(err) != Refused && CodeOf(err) != NotFound {
		return err
	}
	if err == nil && info != nil {
		if info.GetState() == pb.QueueState_Q_RUNNING {
			return nil
		}
		return &Fault{Code: Refused, What: fmt.Sprintf("queue %q takes no applications: it is %s", queue, strings.TrimPrefix(info.GetState().String(), "Q_")), Next: "Ask an administrator, or use another --queue"}
	}
	var names []string
	if root, err := ask("root", true); err == nil {
		names = leaves(root, nil)
	}
	next := "See the ResourceManager's scheduler page for its queues"
	if len(names) > 0 {
		next = "Try --queue " + strings.Join(names, " or ")
	}
	return &Fault{Code: Refused, What: fmt.Sprintf("there is no queue %q", queue), Next: next}
}

func leaves(q *pb.QueueInfo, names []string) []string {
	if len(q.GetChildQueues()) == 0 && q.GetQueueName() != "root" {
		return append(names, q.GetQueueName())
	}
	for _, c := range q.GetChildQueues() {
		names = leaves(c, names)
	}
	return names
}

func (y *yarnCluster) Submit(ctx context.Context, l Launch) error {
	id, err := yarn.ParseApplicationID(l.ID)
	if err != nil {
		return &Fault{Code: Internal, What: "cannot submit", Why: err}
	}
	sc, err := submissionContext(id, l)
	if err != nil {
		return err
	}
	done, err := y.forSubmission(ctx, l.Request, sc)
	if err != nil {
		return err
	}
	err = y.start(ctx, id, l, sc)
	done(err)
	return err
}

// start submits, and makes sure that what was not submitted well does not run.
func (y *yarnCluster) start(ctx context.Context, id yarn.ApplicationID, l Launch, sc *pb.ApplicationSubmissionContext) error {
	var report *pb.ApplicationReport
	sent := time.Now()
	// An interrupt does not cut this exchange: a submission on its way would arrive
	// after the order to end it, of which the ResourceManager would then say that it
	// knows no such application.
	whole, cancel := linger(ctx, submitGrace)
	defer cancel()
	err := y.call(whole, "cannot submit "+l.ID, func(ctx context.Context) (err error) {
		report, err = y.rm.SubmitAndWait(ctx, sc)
		return err
	})
	if err == nil {
		// What a ResourceManager says of the start is its clock, where no page of
		// its own told it before.
		start := report.GetStartTime()
		if l.Again && start < sent.UnixMilli() {
			start = 0 // it may be from another's submit, which was faster
		}
		err = y.judgeStart(sent, time.Now(), start)
		if err != nil {
			y.endUnwanted(ctx, l.ID, id)
		}
		return err
	}
	switch code := CodeOf(err); {
	case code == Refused:
	case l.Again && code != Auth:
		return &Fault{Code: code, What: "cannot submit " + l.ID, Why: fmt.Errorf("%w: %w", errUnknown, err), Next: "Run the same command again, which goes on with the same application"}
	default: // whether it arrived is unknown: make sure that it does not run
		y.endUnwanted(ctx, l.ID, id)
	}
	return err
}

// submitGrace is how long a submission goes on after an interrupt. Mostly it takes
// milliseconds; a second interrupt ends the process.
const submitGrace = 5 * time.Second

// linger returns a context that ends a while after ctx does.
func linger(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-long.Done():
		}
	})
	return long, func() { stop(); cancel() }
}

// endUnwanted ends an application whose submission failed, also when ctx has ended.
func (y *yarnCluster) endUnwanted(ctx context.Context, app string, id yarn.ApplicationID) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), y.opts.CallTimeout)
	defer cancel()
	if e := y.rm.KillAndWait(clean, id, "the submission failed"); e != nil && !yarn.IsNotFound(e) {
		y.opts.Log.Warn("cannot end an application whose submission failed", "app", app, "err", e)
	}
}

// submissionContext is the message that starts an application master.
func submissionContext(id yarn.ApplicationID, l Launch) (*pb.ApplicationSubmissionContext, error) {
	files, err := localResources(l.Files)
	if err != nil {
		return nil, err
	}
	r := l.Request
	env := make([]*pb.StringStringMap, 0, len(l.Env))
	for k, v := range l.Env {
		env = append(env, &pb.StringStringMap{Key: proto.String(k), Value: proto.String(v)})
	}
	slices.SortFunc(env, func(a, b *pb.StringStringMap) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	access := r.access()
	view, modify := access.Launch()
	resource := yarn.NewResource(mib(r.AM.Memory), int32(r.AM.VCores), nil)
	sc := &pb.ApplicationSubmissionContext{
		ApplicationId:   id.PB(),
		ApplicationName: proto.String(r.Name),
		Queue:           proto.String(r.Queue),
		ApplicationType: proto.String(ApplicationType),
		ApplicationTags: r.Tags,
		MaxAppAttempts:  proto.Int32(int32(r.MaxAttempts)),
		Resource:        resource,
		// The next attempt of the application master finds scheduler and workers as
		// they were, and attempts that failed long ago count no more.
		KeepContainersAcrossApplicationAttempts: proto.Bool(true),
		AttemptFailuresValidityInterval:         proto.Int64(r.AttemptWindow.Milliseconds()),
		AmContainerSpec: &pb.ContainerLaunchContext{
			LocalResources: files,
			Environment:    env,
			Command:        []string{"./yarnd appmaster 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"},

			ApplicationAcls: yarn.ACLs{View: string(view), Modify: string(modify)}.PB(),
		},
	}
	if r.Priority != 0 {
		sc.Priority = &pb.Priority{Priority: proto.Int32(int32(r.Priority))}
	}
	if r.NodeLabel != "" {
		sc.NodeLabelExpression = proto.String(r.NodeLabel)
	}
	if r.AMLabel != r.NodeLabel {
		// The application's label is that of every request without one
		// (DefaultAMSProcessor.allocate), so the application master gets a request of its own.
		sc.AmContainerResourceRequest = []*pb.ResourceRequest{{
			Priority: &pb.Priority{Priority: proto.Int32(0)}, ResourceName: proto.String("*"), Capability: resource,
			NumContainers: proto.Int32(1), RelaxLocality: proto.Bool(true), NodeLabelExpression: proto.String(r.AMLabel),
		}}
	}
	return sc, nil
}

// localResources maps files to YARN's form. The node manager compares the
// modification time, in ms.
func localResources(files []LocalFile) ([]*pb.StringLocalResourceMap, error) {
	var out []*pb.StringLocalResourceMap
	for _, f := range files {
		u, err := url.Parse(f.URL)
		if err != nil {
			return nil, &Fault{Code: Internal, What: "cannot name " + f.Link, Why: err}
		}
		res := &pb.URL{Scheme: proto.String(u.Scheme), Host: proto.String(u.Hostname()), File: proto.String(u.Path)}
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			res.Port = proto.Int32(int32(port))
		}
		visibility := pb.LocalResourceVisibility_APPLICATION
		if f.Private {
			visibility = pb.LocalResourceVisibility_PRIVATE
		}
		out = append(out, &pb.StringLocalResourceMap{Key: proto.String(f.Link), Value: &pb.LocalResource{
			Resource: res, Size: proto.Int64(f.Size), Timestamp: proto.Int64(f.ModTimeMs),
			Type: pb.LocalResourceType_FILE.Enum(), Visibility: visibility.Enum(),
		}})
	}
	return out, nil
}

// mib rounds up to YARN's unit.
func mib(bytes int64) int64 { return (bytes + MiB - 1) / MiB }

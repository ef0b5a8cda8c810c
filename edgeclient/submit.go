package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/packaging"
)

// Submit starts an application and waits for it as far as the request says. The
// report that it returns has the application's id also with an error that
// came after the cluster took the application (a wait that ended too early):
// then the application lives on. Else a failed Submit leaves nothing behind.
//
// With Request.IDFile or IfNotExists it can be called again after a process that
// called it was killed at any moment, and gives the same application: see there.
func (c *Client) Submit(ctx context.Context, r Request) (Report, error) {
	r = r.withDefaults()
	if err := r.check(); err != nil {
		return Report{}, err
	}
	var app Report
	var err error
	switch {
	case r.IDFile != "":
		app, err = c.submitKept(ctx, r)
	case r.IfNotExists:
		app, err = c.submitNamed(ctx, r)
	default:
		app, err = c.submitOnce(ctx, r)
	}
	if err != nil {
		return Report{}, err
	}
	report, err := c.Wait(ctx, app.ID, r.Wait, r.WaitWorkers)
	report.ID, report.User = app.ID, c.cluster.User() // also where no report came any more
	return report, err
}

// submitOnce starts another application.
func (c *Client) submitOnce(ctx context.Context, r Request) (Report, error) {
	s, err := c.begin(ctx, r)
	if err != nil {
		return Report{}, err
	}
	if err := s.launch(ctx, s.fresh, false); err != nil {
		c.cluster.Forget(s.fresh)
		return Report{}, err
	}
	return Report{ID: s.fresh}, nil
}

// submission is a request that passed every check.
type submission struct {
	*Client
	r     Request
	p     program
	fresh string // an id that was never submitted
	start time.Time
}

// begin makes every check of a submission, and reserves an id.
func (c *Client) begin(ctx context.Context, r Request) (*submission, error) {
	p, err := r.prepare(ctx, packaging.NewExaminer(packaging.CacheOptions{}))
	if err != nil {
		return nil, err
	}
	s := &submission{Client: c, r: r, p: p, start: time.Now()}
	var largest Resources
	if s.fresh, largest, err = c.cluster.NewID(ctx); err != nil {
		return nil, err
	}
	if err := c.preflight(ctx, r, p, largest); err != nil {
		c.cluster.Forget(s.fresh)
		return nil, err
	}
	c.reached(stepID)
	return s, nil
}

// preflight makes every check that needs the cluster. It changes nothing.
func (c *Client) preflight(ctx context.Context, r Request, p program, largest Resources) error {
	if err := c.cluster.Check(ctx, r, largest); err != nil {
		return err
	}
	if err := c.checkAddressSpace(ctx, r, p.bundle.Path); err != nil {
		return err
	}
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return err
	}
	if err := checkTarget(ctx, f); err != nil {
		return err
	}
	return c.cluster.CheckTokens(ctx, r)
}

// launch stages and submits an application under an id, and on failure removes what it
// staged. With again, others may do the same at the same moment, or have begun to and
// died: what one of them has staged is what is submitted, and what may have arrived stays.
func (s *submission) launch(ctx context.Context, id string, again bool) error {
	f, err := s.cluster.FS(ctx)
	if err != nil {
		return err
	}
	l, err := s.toLaunch(ctx, f, id, again)
	ours := !again // what is staged, if anything is: it may be another's, who submits it now
	if err == nil {
		s.reached(stepStaged)
		err = s.cluster.Submit(ctx, l)
		ours = !errors.Is(err, errUnknown)
	}
	if err != nil && again && s.runs(ctx, id) {
		err = nil // somebody else was faster
	}
	if err != nil && ours {
		if e := s.unstage(ctx, id); e != nil {
			s.opts.Progress("could not clean up after the failure: %v. Remove %s by hand", e, path.Join(f.Home(), stagingRoot, id))
		}
	}
	if err != nil {
		return wrap(Internal, "cannot submit "+id, err, "See yarnd -v for more")
	}
	s.reached(stepSubmitted)
	s.opts.Progress("submitted %s to %s in %s", id, s.cluster.Name(), time.Since(s.start).Round(time.Millisecond))
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s.sweep(bounded, f, id)
	return nil
}

// toLaunch stages, or finds what was staged.
func (s *submission) toLaunch(ctx context.Context, f hdfs.FS, id string, again bool) (l Launch, err error) {
	ready := false
	if again {
		l, ready, err = s.staged(ctx, f, id)
	}
	if err == nil && !ready {
		l, err = s.stage(ctx, f, id, s.r, s.p)
	}
	l.Again = again
	return l, err
}

// errUnknown is in an error after which nobody knows whether a submission arrived.
var errUnknown = errors.New("it is unknown whether it arrived")

// runs tells whether the cluster has an application that has not ended.
func (c *Client) runs(ctx context.Context, id string) bool {
	r, err := c.cluster.Report(ctx, id)
	return err == nil && !r.State.Ended()
}

// step is a moment of a submission, after which a test kills its process.
type step string

const (
	stepID        step = "new application id"
	stepKept      step = "id kept" // in the id file, or under the name
	stepStaging   step = "staging begun"
	stepUploaded  step = "bundle uploaded"
	stepStaged    step = "staged"
	stepSubmitted step = "submitted"
	stepConfirmed step = "confirmed" // where the id is kept
)

// reached tells a test how far a submission is.
func (c *Client) reached(s step) {
	if c.onStep != nil {
		c.onStep(s)
	}
}

// spareSpace is how many times the least that is not refused is advised: one program
// maps more at one start than at another, by a 64 MiB step of Go's heap, and what was
// advised after one measurement must not be refused after the next.
const spareSpace = 1.06

// checkAddressSpace refuses containers that YARN would kill for their virtual
// memory, where the cluster's configuration says that it does so: what the
// processes map when they start, and all the memory that they may come to use,
// must stay below ratio times the container's memory.
func (c *Client) checkAddressSpace(ctx context.Context, r Request, bundle string) error {
	ratio := c.cluster.VmRatio()
	if ratio == 0 || c.opts.VmSize == nil {
		return nil
	}
	if ratio <= 1 {
		return &Fault{Code: Refused, What: fmt.Sprintf("this cluster limits virtual memory to %.1f times a container's memory (yarn.nodemanager.vmem-pmem-ratio), in which no Go program can run", ratio), Next: "Ask an administrator"}
	}
	am, scheduler, worker, err := c.opts.VmSize(ctx, bundle)
	if err != nil {
		return wrap(Internal, "cannot measure the program's address space", err, "See yarnd -v for more")
	}
	var advice []string
	var what string
	for _, x := range r.mapping(am, scheduler, worker) {
		least := mib(int64(float64(x.mapped) / (ratio - 1)))
		if x.have >= least*MiB {
			continue
		}
		if what == "" {
			what = fmt.Sprintf("%s memory %s is too small for this cluster, which limits virtual memory to %.1f times (yarn.nodemanager.vmem-pmem-ratio): its processes map %s at their start", x.role, FormatBytes(x.have), ratio, FormatBytes(x.mapped))
		}
		advice = append(advice, fmt.Sprintf(x.flag, int64(float64(least)*spareSpace)+1))
	}
	if advice == nil {
		return nil
	}
	return &Fault{Code: Refused, What: what, Next: "Try " + strings.Join(advice, " ")}
}

// mapped is a kind of container, its memory, and what its processes map when they start.
type mapped struct {
	role, flag   string // flag is the format of one that says other memory, in MiB
	have, mapped int64  // bytes
}

// mapping are the containers that there may be.
func (r Request) mapping(am, scheduler, worker int64) []mapped {
	list := []mapped{{"am", "--am-memory %dMiB", r.AM.Memory, am}, {"scheduler", "--scheduler-memory %dMiB", r.Scheduler.Memory, scheduler}}
	for _, p := range r.workerPools() {
		switch {
		case p.most() == 0:
		case p.Name == WorkerPool:
			list = append(list, mapped{"worker", "--worker-memory %dMiB", p.Size.Memory, worker})
		default:
			list = append(list, mapped{"pool " + p.Name, "--pool " + p.Name + "=…,memory=%dMiB", p.Size.Memory, worker})
		}
	}
	return list
}

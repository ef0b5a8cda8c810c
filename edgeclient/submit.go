package edgeclient

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/yarnd/yarnd/packaging"
)

// Submit starts an application and waits for it as far as the request says. The
// report that it returns has the application's id also with an error that
// came after the cluster took the application (a wait that ended too early):
// then the application lives on. Else a failed Submit leaves nothing behind.
func (c *Client) Submit(ctx context.Context, r Request) (Report, error) {
	r = r.withDefaults()
	if err := r.check(); err != nil {
		return Report{}, err
	}
	if r.IfNotExists {
		if there, err := c.namesake(ctx, r.Name); err != nil || there.ID != "" {
			return c.waitFor(ctx, there, r, err)
		}
	}
	p, err := r.prepare(ctx, packaging.NewExaminer(packaging.CacheOptions{}))
	if err != nil {
		return Report{}, err
	}
	start := time.Now()
	id, largest, err := c.cluster.NewID(ctx)
	if err != nil {
		return Report{}, err
	}
	err = c.preflight(ctx, r, p, largest)
	if err == nil {
		err = c.launch(ctx, id, r, p)
	}
	if err != nil {
		c.cluster.Forget(id)
		return Report{}, err
	}
	c.opts.Progress("submitted %s to %s in %s", id, c.cluster.Name(), time.Since(start).Round(time.Millisecond))
	return c.waitFor(ctx, Report{ID: id}, r, nil)
}

// waitFor waits for an application as far as the request says, unless there is an error
// already.
func (c *Client) waitFor(ctx context.Context, app Report, r Request, err error) (Report, error) {
	if err != nil {
		return Report{}, err
	}
	report, err := c.Wait(ctx, app.ID, r.Wait, r.WaitWorkers)
	report.ID, report.User = app.ID, c.cluster.User() // also where no report came any more
	return report, err
}

// namesake finds this user's application of a name that has not ended; the zero Report is
// none. Which of several is meant nobody can say.
func (c *Client) namesake(ctx context.Context, name string) (Report, error) {
	list, err := c.List(ctx, Filter{User: c.cluster.User(), Name: name})
	switch {
	case err != nil || len(list) == 0:
		return Report{}, err
	case len(list) > 1:
		return Report{}, &Fault{Code: Refused, What: fmt.Sprintf("%d applications are called %q: %s", len(list), name, ids(list)), Next: "End all but one with yarnd kill"}
	}
	c.opts.Progress("%s is called %q, and is there already", list[0].ID, name)
	return list[0], nil
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
	return checkTarget(ctx, f)
}

// launch stages and submits, and on failure removes what it staged.
func (c *Client) launch(ctx context.Context, id string, r Request, p program) error {
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return err
	}
	l, err := c.stage(ctx, f, id, r, p)
	if err == nil {
		err = c.cluster.Submit(ctx, l)
	}
	if err != nil {
		if e := c.unstage(ctx, id); e != nil {
			c.opts.Progress("could not clean up after the failure: %v. Remove %s by hand", e, path.Join(f.Home(), stagingRoot, id))
		}
		return wrap(Internal, "cannot submit "+id, err, "See yarnd -v for more")
	}
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c.sweep(bounded, f, id)
	return nil
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
	for _, x := range []struct {
		role   string
		have   int64
		mapped int64
	}{{"am", r.AM.Memory, am}, {"scheduler", r.Scheduler.Memory, scheduler}, {"worker", r.Worker.Memory, worker}} {
		least := mib(int64(float64(x.mapped) / (ratio - 1)))
		if x.have >= least*MiB || x.role == "worker" && r.most() == 0 {
			continue
		}
		if what == "" {
			what = fmt.Sprintf("%s memory %s is too small for this cluster, which limits virtual memory to %.1f times (yarn.nodemanager.vmem-pmem-ratio): its processes map %s at their start", x.role, FormatBytes(x.have), ratio, FormatBytes(x.mapped))
		}
		advice = append(advice, fmt.Sprintf("--%s-memory %dMiB", x.role, int64(float64(least)*spareSpace)+1))
	}
	if advice == nil {
		return nil
	}
	return &Fault{Code: Refused, What: what, Next: "Try " + strings.Join(advice, " ")}
}

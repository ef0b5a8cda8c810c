package edgeclient

import (
	"context"
	"fmt"
	"path"
	"time"
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
	p, err := r.prepare(ctx)
	if err != nil {
		return Report{}, err
	}
	start := time.Now()
	id, largest, err := c.cluster.NewID(ctx)
	if err != nil {
		return Report{}, err
	}
	err = c.cluster.Check(ctx, r, largest)
	if err == nil {
		err = c.checkAddressSpace(ctx, r, p.bundle.Path)
	}
	if err == nil {
		err = c.launch(ctx, id, r, p)
	}
	if err != nil {
		c.cluster.Forget(id)
		return Report{}, err
	}
	c.opts.Progress("submitted %s to %s in %s", id, c.cluster.Name(), time.Since(start).Round(time.Millisecond))
	report, err := c.Wait(ctx, id, r.Wait, r.WaitWorkers)
	report.ID = id
	return report, err
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

// checkAddressSpace refuses containers that YARN would kill at once for their
// virtual memory, where the cluster's configuration says that it does so.
func (c *Client) checkAddressSpace(ctx context.Context, r Request, bundle string) error {
	ratio := c.cluster.VmRatio()
	if ratio == 0 || c.opts.VmSize == nil {
		return nil
	}
	am, scheduler, worker, err := c.opts.VmSize(ctx, bundle)
	if err != nil {
		return wrap(Internal, "cannot measure the program's address space", err, "")
	}
	for _, x := range []struct {
		role   string
		have   int64
		needed int64
	}{{"am", r.AM.Memory, am}, {"scheduler", r.Scheduler.Memory, scheduler}, {"worker", r.Worker.Memory, worker}} {
		least := mib(int64(float64(x.needed)/ratio)) * MiB
		if x.have < least {
			return &Fault{Code: Refused,
				What: fmt.Sprintf("%s memory %s is too small for this cluster, which limits virtual memory to %.1f times (yarn.nodemanager.vmem-pmem-ratio): its processes need %s of address space", x.role, FormatBytes(x.have), ratio, FormatBytes(x.needed)),
				Next: fmt.Sprintf("Try --%s-memory %s", x.role, FormatBytes(least))}
		}
	}
	return nil
}

package edgeclient

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// elsewhere is how long an application that a name has been given to may be unknown to
// the cluster before it is submitted here: mostly somebody else is about to.
const elsewhere = 3 * time.Second

// naming is a submission with IfNotExists.
type naming struct {
	*Client
	r       Request
	g       registry
	cluster string      // by name
	s       *submission // once one is needed
	given   bool        // its id may be in the table
}

// submitNamed finds the application of this user and name, or starts it. Of any number
// that do so at once all get the same.
func (c *Client) submitNamed(ctx context.Context, r Request) (Report, error) {
	there, err := c.namesake(ctx, r.Name)
	if err != nil || there.ID != "" {
		return there, err
	}
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return Report{}, err
	}
	n := &naming{Client: c, r: r, cluster: c.cluster.Name()}
	if n.g, err = openRegistry(ctx, f); err != nil {
		return Report{}, err
	}
	var app Report
	err = poll(ctx, func() (done bool, err error) {
		app, err = n.try(ctx)
		return app.ID != "", err
	})
	if n.s != nil && !n.given {
		c.cluster.Forget(n.s.fresh)
	}
	return app, wrap(TimedOut, fmt.Sprintf("cannot tell which application is called %q", r.Name), err, "Run the same command again")
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

// try returns the application of the name, none where the table has to be read again.
func (n *naming) try(ctx context.Context) (Report, error) {
	table, err := n.g.read(ctx)
	if err != nil {
		return Report{}, err
	}
	e, ok := table.get(n.cluster, n.r.Name)
	if !ok {
		return n.claim(ctx, table)
	}
	n.given = n.s != nil && e.ID == n.s.fresh
	report, err := n.Client.cluster.Report(ctx, e.ID)
	switch {
	case err == nil && report.State.Ended(), CodeOf(err) == NotFound && e.Confirmed:
		if n.given { // somebody else was faster with our id, and it is used up
			n.s = nil
		}
		return n.claim(ctx, table)
	case err == nil:
		n.opts.Progress("%s is called %q, and is there already", e.ID, n.r.Name)
		n.confirm(ctx, e)
		return report, nil
	case CodeOf(err) != NotFound:
		return Report{}, err
	case !n.given:
		if came, err := n.await(ctx, e.ID); came || err != nil {
			return Report{}, err
		}
	}
	return n.finish(ctx, e)
}

// claim gives the name to a new application, if nobody else is faster.
func (n *naming) claim(ctx context.Context, table nameTable) (Report, error) {
	there, err := n.namesake(ctx, n.r.Name) // one that was started without IfNotExists
	if err != nil || there.ID != "" {
		return there, err
	}
	if err := n.prepared(ctx); err != nil {
		return Report{}, err
	}
	n.given = true
	err = n.g.write(ctx, n.prune(ctx, table).with(n.cluster, n.r.Name, entry{ID: n.s.fresh, Since: time.Now().Unix()}))
	n.reached(stepKept)
	return Report{}, err
}

// prepared makes the checks of a submission, once.
func (n *naming) prepared(ctx context.Context) (err error) {
	if n.s == nil {
		n.s, err = n.begin(ctx, n.r)
	}
	return err
}

// await waits a while for an application that somebody else is about to submit.
func (n *naming) await(ctx context.Context, id string) (came bool, err error) {
	n.opts.Progress("%s is called %q, and is being submitted", id, n.r.Name)
	bounded, cancel := context.WithTimeout(ctx, cmp.Or(n.patient, elsewhere))
	defer cancel()
	err = poll(bounded, func() (bool, error) {
		_, err := n.Client.cluster.Report(bounded, id)
		if came = err == nil; CodeOf(err) == NotFound {
			err = nil
		}
		return came, err
	})
	if bounded.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return came, err
}

// finish submits the application that has the name, whoever began to.
func (n *naming) finish(ctx context.Context, e entry) (Report, error) {
	if err := n.prepared(ctx); err != nil {
		return Report{}, err
	}
	if err := n.s.launch(ctx, e.ID, true); err != nil {
		return Report{}, err
	}
	n.confirm(ctx, e)
	n.reached(stepConfirmed)
	return Report{ID: e.ID}, nil
}

// confirm notes that the cluster has had an application, so that one that it does not
// know any more is not submitted a second time. Where that fails the name is as before.
func (n *naming) confirm(ctx context.Context, e entry) {
	if e.Confirmed {
		return
	}
	sure := e
	sure.Confirmed = true
	err := poll(ctx, func() (bool, error) {
		table, err := n.g.read(ctx)
		if now, ok := table.get(n.cluster, n.r.Name); err != nil || !ok || now != e {
			return true, err
		}
		return false, n.g.write(ctx, table.with(n.cluster, n.r.Name, sure))
	})
	if err != nil {
		n.opts.Log.Debug("cannot note that an application has come", "app", e.ID, "err", err)
	}
}

// prune drops entries of applications of this cluster that are known to have ended, or
// never came; it looks at some of them.
func (n *naming) prune(ctx context.Context, table nameTable) nameTable {
	const most = 20
	looked := 0
	kept := nameTable{version: table.version, of: map[string]map[string]entry{}}
	for cluster, of := range table.of {
		kept.of[cluster] = map[string]entry{}
		for name, e := range of {
			if cluster == n.cluster && looked < most {
				looked++
				r, err := n.Client.cluster.Report(ctx, e.ID)
				if err == nil && r.State.Ended() || CodeOf(err) == NotFound && e.abandoned(time.Now()) {
					continue
				}
			}
			kept.of[cluster][name] = e
		}
	}
	return kept
}

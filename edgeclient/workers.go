package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Pool is how many containers a pool wants, before and after a change.
type Pool struct {
	Name           string
	Before, Wanted int
}

// FindWorkers gives the containers of workers that unique suffixes of their ids
// name, each once, in the order in which they are named.
func FindWorkers(app string, info *ampb.Info, names []string) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for _, name := range names {
		var found []string
		for _, c := range info.GetContainers() {
			switch {
			case name == "" || c.GetRole() != string(spec.RoleWorker) || !strings.HasSuffix(c.GetId(), name):
			case c.GetId() == name: // also when it is the end of a longer one
				found = []string{name}
			case len(found) != 1 || found[0] != name:
				found = append(found, c.GetId())
			}
		}
		switch {
		case len(found) == 0:
			return nil, &Fault{Code: NotFound, What: fmt.Sprintf("%s has no worker %q", app, name), Next: "See yarnd worker list " + app}
		case len(found) > 1:
			return nil, usagef("Give more of the id: "+strings.Join(found[:min(3, len(found))], ", "), "%q is the end of %d workers' ids", name, len(found))
		}
		if !seen[found[0]] {
			seen[found[0]] = true
			ids = append(ids, found[0])
		}
	}
	return ids, nil
}

// Retire has workers drained and given back: they get no new tasks, finish what they
// run, and hand on what only they hold. Unless they are replaced their pools want so
// many fewer. It returns when that has begun.
func (s *Session) Retire(ctx context.Context, containers []string, replace bool) ([]Pool, error) {
	if err := errors.Join(s.needMaster("retire workers of"), s.need(toChange)); err != nil {
		return nil, err
	}
	reply, err := s.am.Retire(ctx, containers, replace)
	if err != nil {
		return nil, sessionFault("cannot retire workers of "+s.App.ID, err)
	}
	var pools []Pool
	for _, p := range reply.GetPools() {
		pools = append(pools, Pool{p.GetPool(), int(p.GetBefore()), int(p.GetWanted())})
	}
	return pools, nil
}

// KillWorker ends a worker's container at once, as it is. Another takes its place.
func (s *Session) KillWorker(ctx context.Context, container string) error {
	if err := errors.Join(s.needMaster("end workers of"), s.need(toChange)); err != nil {
		return err
	}
	if err := s.am.Kill(ctx, container); err != nil {
		return sessionFault("cannot end "+container, err)
	}
	return nil
}

// Event is something that happened to the application's containers.
type Event struct {
	When   time.Time
	Kind   string // container.exited, pool.asked, …
	Object string // whom it is about
	Text   string // what happened and why
}

// Events tells what happened after an earlier answer's next, 0 at first, as far as
// the application master remembers it.
func (s *Session) Events(ctx context.Context, since uint64) (list []Event, next uint64, err error) {
	if err := s.needMaster("tell of the containers of"); err != nil {
		return nil, since, err
	}
	reply, err := s.am.Events(ctx, since)
	if err != nil {
		return nil, since, sessionFault("cannot ask "+s.App.ID+" for events", err)
	}
	for _, e := range reply.GetEvents() {
		list = append(list, Event{e.GetWhen().AsTime(), e.GetKind(), e.GetObject(), e.GetText()})
	}
	return list, reply.GetNext(), nil
}

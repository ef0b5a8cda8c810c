package edgeclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/identity"
)

// Session is a connection to a running application's master, proven on both sides: by the
// owner's credential, or by the cluster's word for who we are. It is safe for concurrent use.
type Session struct {
	App      Report
	Identity *identity.Identity                    // also opens the scheduler and the workers, where we may work
	am       *amclient.Client                      // nil where the cluster was started by hand
	address  string                                // host:port of the scheduler there
	keeping  []func()                              // end what keeps Identity and the application's tokens good
	report   func(context.Context) (Report, error) // what the cluster says of it now; nil where nobody does
	nodes    logHost                               // of logs that the application master is not shown; nil where there is none
}

// ByHand reports whether the cluster was started by hand, and so has no application
// master to ask.
func (s *Session) ByHand() bool { return s.am == nil }

// needMaster refuses what only an application master could do.
func (s *Session) needMaster(verb string) error {
	if s.ByHand() {
		return byHandFault(s.App.ID, verb)
	}
	return nil
}

// Connect opens a session with a running application. Whoever can read the
// owner's credential, an owner-only file, is the owner; others the cluster must introduce.
func (c *Client) Connect(ctx context.Context, r Report) (*Session, error) {
	if hand, ok := c.cluster.(*byHand); ok {
		return hand.session(r)
	}
	if r.State.Ended() {
		return nil, endedFault(r)
	}
	id, r, claimed, err := c.identify(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Endpoint == "" {
		if r, err = c.waitEndpoint(ctx, r); err != nil {
			return nil, err
		}
	}
	locate := func(ctx context.Context) ([]string, error) {
		now, err := c.cluster.Report(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if now.State.Ended() {
			return nil, Ended(now)
		}
		if now.Endpoint == "" {
			return nil, nil
		}
		return []string{now.Endpoint}, nil
	}
	am, err := amclient.Dial(id, amclient.Options{Addresses: []string{r.Endpoint}, Locate: locate, Log: c.opts.Log})
	if err != nil {
		return nil, sessionFault("cannot connect to "+r.ID, err)
	}
	s := &Session{App: r, Identity: id, am: am, report: func(ctx context.Context) (Report, error) { return c.cluster.Report(ctx, r.ID) }}
	s.nodes, _ = c.cluster.(logHost)
	if claimed {
		s.keeping = append(s.keeping, c.keepClaimed(ctx, id, r))
	}
	bounded, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
	defer cancel()
	info, err := s.Info(bounded)
	if err != nil { // an unproven session is none
		s.Close()
		return nil, err
	}
	c.renewInTime(bounded, s, info)
	if stop := c.keepTokens(ctx, s, info); stop != nil {
		s.keeping = append(s.keeping, stop)
	}
	return s, nil
}

// identify finds out who we are to an application: its owner by his credential, where we are
// he, else who the cluster says that we are. Of others' applications on a cluster that proves
// nobody's name the credential is tried as well.
func (c *Client) identify(ctx context.Context, r Report) (id *identity.Identity, now Report, claimed bool, err error) {
	text, own, err := ownCredential(r.ID)
	if own {
		if err == nil {
			id, err = parseCredential(r.ID, text)
		}
		return id, r, false, err
	}
	ours, vouched := r.User == c.cluster.User(), r.guarded || r.letter != nil
	var lacking error
	if ours || !vouched {
		if id, lacking = c.credential(ctx, r); lacking == nil || !vouched || ctx.Err() != nil {
			return id, r, false, lacking
		}
	}
	if r.Endpoint == "" {
		if r, err = c.waitEndpoint(ctx, r); err != nil {
			return nil, r, false, cmp.Or(lacking, err)
		}
	}
	if r.letter == nil {
		return nil, r, false, cmp.Or(lacking, c.noWord(r))
	}
	if id, err = c.claim(ctx, r); err != nil {
		return nil, r, false, cmp.Or(lacking, err)
	}
	return id, r, true, nil
}

// keepClaimed renews an identity that the cluster's word has given, until the function that it
// returns is called, which waits for it.
func (c *Client) keepClaimed(ctx context.Context, id *identity.Identity, r Report) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		amclient.KeepClaimed(ctx, id, c.introduce(r.ID, nil), amclient.Options{CallTimeout: c.opts.CallTimeout, Log: c.opts.Log})
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// credential reads the owner's credential from the staging directory.
func (c *Client) credential(ctx context.Context, r Report) (*identity.Identity, error) {
	f, err := c.cluster.FS(ctx)
	if err != nil {
		return nil, err
	}
	name := path.Join(path.Dir(f.Home()), r.User, stagingRoot, r.ID, spec.ClientFile)
	if r.User == c.cluster.User() {
		name = path.Join(f.Home(), stagingRoot, r.ID, spec.ClientFile)
	}
	const largest = 64 << 10
	text, err := hdfs.ReadFile(ctx, f, name, largest)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, &Fault{Code: Auth, What: fmt.Sprintf("%s belongs to %s, and you are %s", r.ID, r.User, c.cluster.User()), Why: err, Next: "Ask " + r.User + " to run this"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Fault{Code: Auth, What: "the owner's credential of " + r.ID + " is gone", Why: err, Next: "The application may be ending: see yarnd status " + r.ID}
	case err != nil:
		return nil, fsFault("cannot read the owner's credential of "+r.ID, err)
	}
	return parseCredential(r.ID, text)
}

func parseCredential(app string, text []byte) (*identity.Identity, error) {
	id, err := identity.ParsePEM(text)
	if err != nil {
		return nil, &Fault{Code: Auth, What: "the owner's credential of " + app + " is damaged", Why: err, Next: "End it with yarnd kill " + app}
	}
	return id, nil
}

// waitEndpoint waits until the application master has registered.
func (c *Client) waitEndpoint(ctx context.Context, r Report) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
	defer cancel()
	c.opts.Progress("%s: %s", r.ID, describe(r))
	err := poll(ctx, func() (bool, error) {
		now, err := c.cluster.Report(ctx, r.ID)
		if err == nil && now.State.Ended() {
			err = Ended(now)
		}
		if err == nil {
			r = now
		}
		if err == nil && r.State == StateRunning && r.Endpoint == "" && r.User != c.cluster.User() {
			err = c.noWord(r) // the ResourceManager keeps to itself where it is
		}
		return r.Endpoint != "", err
	})
	if err != nil {
		why := err
		if r.Diagnostics != "" {
			why = textError(reason(r.Diagnostics))
		}
		return r, wrap(TimedOut, r.ID+" has not started yet", why, "Wait with yarnd wait "+r.ID+" --for workers:1")
	}
	return r, nil
}

// Info tells how the application is.
func (s *Session) Info(ctx context.Context) (*ampb.Info, error) {
	if err := s.needMaster("look into"); err != nil {
		return nil, err
	}
	info, err := s.am.Info(ctx)
	if err != nil {
		return nil, sessionFault("cannot ask "+s.App.ID, err)
	}
	return info, nil
}

// Scale sets how many workers a pool of the application shall have and returns how many it
// wanted before. "" is WorkerPool.
func (s *Session) Scale(ctx context.Context, pool string, n int) (before int, err error) {
	if err := errors.Join(s.needMaster("scale"), s.need(toChange)); err != nil {
		return 0, err
	}
	reply, err := s.am.Scale(ctx, cmp.Or(pool, WorkerPool), n)
	if err != nil {
		return 0, sessionFault("cannot scale "+s.App.ID, err)
	}
	return int(reply.GetBefore()), nil
}

// Adapt has a pool of the application scale by itself between limits, with its work, until
// Scale says a number. It returns the limits before, zero if there were none, and how many
// workers it wants now. "" is WorkerPool.
func (s *Session) Adapt(ctx context.Context, pool string, l Limits) (before Limits, wanted int, err error) {
	if err := errors.Join(s.needMaster("scale"), s.need(toChange)); err != nil {
		return Limits{}, 0, err
	}
	if err := l.check(); err != nil {
		return Limits{}, 0, err
	}
	m := &ampb.Limits{Min: int32(l.Min), Max: int32(l.Max)}
	if l.Idle > 0 {
		m.Idle = durationpb.New(l.Idle)
	}
	reply, err := s.am.Adapt(ctx, cmp.Or(pool, WorkerPool), m)
	if err != nil {
		return Limits{}, 0, sessionFault("cannot have "+s.App.ID+" scale by itself", err)
	}
	was := reply.GetBefore()
	return Limits{int(was.GetMin()), int(was.GetMax()), was.GetIdle().AsDuration()}, int(reply.GetWanted()), nil
}

// Stop begins the application's end in order, with that final status. It may have ended when Stop returns.
func (s *Session) Stop(ctx context.Context, final, why string) error {
	if err := errors.Join(s.needMaster("end"), s.need(toChange)); err != nil {
		return err
	}
	if err := s.am.Stop(ctx, final, why, false); err != nil && !s.ended(ctx, cmp.Or(final, FinalSucceeded)) {
		return sessionFault("cannot stop "+s.App.ID, err)
	}
	return nil
}

// ended tells whether the application has ended with a final status. A master that was told to end it may die with its
// answer; then the next one has ended it.
func (s *Session) ended(ctx context.Context, final string) bool {
	if s.report == nil {
		return false
	}
	r, err := s.report(ctx)
	return err == nil && r.State.Ended() && r.Final == final
}

// Scheduler waits until the application has a scheduler and says where it is.
func (s *Session) Scheduler(ctx context.Context) (address string, epoch uint64, err error) {
	if s.ByHand() {
		return s.address, 0, nil
	}
	e, err := s.am.WaitScheduler(ctx)
	if err != nil {
		return "", 0, sessionFault(s.App.ID+" has no scheduler", err)
	}
	return e.GetAddress(), e.GetEpoch(), nil
}

// Close ends the session; the application lives on. Where new tokens are just being got for the application it waits until they are
// cancelled, ten seconds at the most.
func (s *Session) Close() error {
	if s.ByHand() {
		return nil
	}
	for _, stop := range s.keeping {
		stop()
	}
	return s.am.Close()
}

// waitWorkers waits until the scheduler has n workers connected. Without an error
// and not done, the application master says no more: it has ended, or starts again,
// and the cluster's report tells which.
func (c *Client) waitWorkers(ctx context.Context, r Report, n int) (done bool, err error) {
	s, err := c.Connect(ctx, r)
	if err != nil {
		return false, c.unlessEnded(ctx, r.ID, err)
	}
	defer s.Close()
	if err := s.needMaster("count the workers of"); err != nil {
		return false, err
	}
	said, waits := int32(-1), ""
	for info, err := range s.am.Watch(ctx) {
		var e *amclient.Error
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case errors.As(err, &e) && e.Unreachable():
			return false, nil
		case err != nil:
			return false, sessionFault("cannot watch "+r.ID, err)
		case info.GetState() == ampb.State_ENDED:
			return false, nil
		}
		have := info.GetReport().GetWorkers()
		if have != said {
			said = have
			c.opts.Progress("%s: %d of %d workers", r.ID, have, n)
		}
		for _, p := range info.GetPools() {
			if text := p.GetWaits(); text != "" && text != waits {
				waits = text
				c.opts.Progress("%s: %s", r.ID, text)
			}
		}
		if int(have) >= n {
			return true, nil
		}
	}
	return false, context.Cause(ctx)
}

// endGrace is how long the cluster may take to notice that an application ended
// whose application master, or whose credential, is gone already.
const endGrace = 5 * time.Second

// unlessEnded returns err, the reason why an application that ran can be spoken to
// no more, or nil when it turns out to have ended.
func (c *Client) unlessEnded(ctx context.Context, id string, err error) error {
	bounded, cancel := context.WithTimeout(ctx, endGrace)
	defer cancel()
	ended := poll(bounded, func() (bool, error) {
		r, err := c.cluster.Report(bounded, id)
		return r.State.Ended(), err
	})
	if ended == nil {
		return nil
	}
	return err
}

// Logs gives the logs of a running application's containers, one file after the
// other.
func (s *Session) Logs(ctx context.Context, req LogRequest, yield func(LogFile) error) error {
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	files := []string{"stdout", "stderr"}
	if req.File != "" {
		files = []string{req.File}
	}
	chosen := slices.DeleteFunc(places(info), func(p place) bool { return !strings.HasSuffix(p.id, req.Container) })
	if len(chosen) == 0 {
		return noContainer(s.App, req)
	}
	// One log that cannot be read, of a container that never started or whose node
	// is lost, does not hide the others.
	var unread []error
	found := false
	for _, place := range chosen {
		for _, name := range files {
			r := &logReader{next: s.chunks(ctx, place.id, name)}
			var lost error
			err := r.open()
			if err == nil {
				lost = yield(LogFile{Container: place.id, Node: place.node, Name: name, Size: -1, Content: r})
				err = r.failure()
			}
			r.stop()
			what := "cannot read " + name + " of " + place.id
			switch {
			case ctx.Err() != nil:
				return wrap(Interrupted, what, context.Cause(ctx), "")
			case lost != nil && err == nil:
				return lost // the receiver's own
			case err == nil:
				found = true
			case CodeOf(sessionFault(what, err)) != NotFound:
				unread = append(unread, sessionFault(what, err))
			}
		}
	}
	if !found && unread == nil {
		return noContainer(s.App, req)
	}
	return errors.Join(unread...)
}

// noContainer says that an application has no log that a request chooses.
func noContainer(r Report, req LogRequest) error {
	what := r.ID + " has no log"
	if req.Container != "" {
		what += fmt.Sprintf(" of a container %q", req.Container)
	}
	if req.File != "" {
		what += fmt.Sprintf(" called %q", req.File)
	}
	return &Fault{Code: NotFound, What: what, Next: "See yarnd status " + r.ID + " -o wide"}
}

type place struct{ id, node string }

// places are the containers that have logs: the application master, those that
// run, those that ended.
func places(info *ampb.Info) []place {
	out := []place{{info.GetContainer(), info.GetNode()}}
	for _, e := range info.GetExits() {
		out = append(out, place{e.GetContainer(), e.GetNode()})
	}
	for _, c := range info.GetContainers() {
		out = append(out, place{c.GetId(), c.GetNode()})
	}
	return out
}

// sessionFault gives an error of the application master's API a person's words.
func sessionFault(what string, err error) error {
	var e *amclient.Error
	if errors.As(err, &e) && !errors.As(err, new(*Fault)) { // whose words are better
		switch {
		case e.NotFound():
			return &Fault{Code: NotFound, What: what, Why: err, Next: "See yarnd status"}
		case e.Refused():
			return &Fault{Code: Auth, What: what, Why: err, Next: "Only the owner may"}
		case e.Aborted():
			return &Fault{Code: TimedOut, What: what, Why: err, Next: "Try once more; the application itself goes on"}
		case e.Unreachable():
			return &Fault{Code: TimedOut, What: what, Why: err, Next: "The application master may be starting again: try once more, or see yarnd list"}
		}
	}
	return wrap(Internal, what, err, "See yarnd -v for more")
}

func textError(s string) error {
	if s == "" {
		return nil
	}
	return errors.New(firstLine(s))
}

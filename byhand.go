package yarnd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/dirstore"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/engine/wire"
	engineworker "github.com/yarnd/yarnd/engine/worker"
	"github.com/yarnd/yarnd/identity"
)

// SchedulerOptions say how a scheduler runs that is started by hand. The zero value
// works.
type SchedulerOptions struct {
	// Credentials is the file of the cluster, made when there is none; "" is the default:
	// see edgeclient.CredentialsPath.
	Credentials string
	// Listen is HOST:PORT. Without a host it listens on Interface, without a port, or
	// with port 0, on one of Ports; the zero value is any free port of every address.
	Listen    string
	Ports     edgeclient.Ports
	Interface string
	Dir       string // scratch; "" is the temporary directory
	// Journal is a directory, made when there is none, for what a scheduler has to know
	// that starts there again after this one: jobs, results, programs. "" is none: they
	// end with the process.
	Journal string
	// KeepResults is as in edgeclient.Request.
	KeepResults time.Duration
	// Ready is told host:port when clients and workers can come, and the path of
	// credentials that were made; nil is nobody.
	Ready func(address, made string)
	// Alone says that this process does nothing else, so that its garbage collector may be
	// set for a scheduler.
	Alone bool
	Log   *slog.Logger // nil discards
}

// RunScheduler is the life of a scheduler that is started by hand. It returns nil when
// ctx has ended, with everything that it started ended. Without a journal its jobs end with
// it. Of this process there are no core dumps any more.
func RunScheduler(ctx context.Context, o SchedulerOptions) error {
	withoutCore(o.Log)
	ln, err := handListener(o)
	if err != nil {
		return err
	}
	defer ln.Close()
	made, err := makeCredentials(o.Credentials)
	if err != nil {
		return err
	}
	m, err := handMeans(o.Credentials, o.Dir, identity.Scheduler, "scheduler")
	if err != nil {
		return err
	}
	defer m.remove()
	wal, err := handJournal(o.Journal, m.dir)
	if err != nil {
		return err
	}
	epoch, err := wal.epoch(ctx, time.Now())
	if err != nil {
		return err
	}
	srv, err := server.Open(ctx, server.Options{
		Identity: m.id, Listener: ln, Log: o.Log, Dir: wal.dir, Journal: wal.store, Version: Version, Bundle: m.bundle, Keep: o.KeepResults, Alone: o.Alone,
		Epoch: epoch,
	})
	if err != nil {
		return err
	}
	address, err := advertise(srv.Addr(), "")
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(address, made)
	}
	if err := srv.Serve(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// handWAL is where a scheduler started by hand keeps what outlives it.
type handWAL struct {
	store journal.Store // nil: nowhere
	dir   string        // for programs
}

// epoch is that of a scheduler which begins now: of two at one address, or with one journal, the later one counts.
// Where the clock was set back since an earlier one began the journal tells; without a journal workers come when it
// has caught up.
func (w handWAL) epoch(ctx context.Context, now time.Time) (uint64, error) {
	epoch := uint64(max(1, now.UnixMilli()))
	if w.store == nil {
		return epoch, nil
	}
	last, err := journal.Newest(ctx, w.store)
	if err != nil {
		return 0, journalFault(w.dir, err)
	}
	return max(epoch, last+1), nil
}

func handJournal(dir, scratch string) (handWAL, error) {
	if dir == "" {
		return handWAL{dir: scratch}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return handWAL{}, journalFault(dir, err)
	}
	store, err := dirstore.New(filepath.Join(dir, "journal"))
	if err != nil {
		return handWAL{}, journalFault(dir, err)
	}
	return handWAL{store, dir}, nil
}

func journalFault(dir string, err error) error {
	return &edgeclient.Fault{Code: edgeclient.Usage, What: "cannot keep a journal in " + dir, Why: err, Next: "Name a directory of your own on a disk of this host by --journal"}
}

// means are what a process needs that is started by hand, of either role.
type means struct {
	id     *identity.Identity
	dir    string       // scratch
	remove func()       // removes dir
	bundle graph.Digest // digest of the running program
}

func handMeans(credentials, below string, role identity.Role, name string) (m means, err error) {
	if m.id, err = handIdentity(credentials, role, name); err != nil {
		return means{}, err
	}
	if m.bundle, err = ownDigest(); err != nil {
		return means{}, err
	}
	m.dir, m.remove, err = scratch(below, string(role))
	return m, err
}

// makeCredentials makes the file when there is none, and then returns its path.
func makeCredentials(given string) (made string, err error) {
	path, err := edgeclient.CredentialsPath(given)
	if err != nil {
		return "", err
	}
	isNew, err := edgeclient.MakeCredentials(path)
	if !isNew {
		path = ""
	}
	return path, err
}

// handListener listens where the options say.
func handListener(o SchedulerOptions) (net.Listener, error) {
	how := spec.Listen{Interface: o.Interface, PortMin: o.Ports.Min, PortMax: o.Ports.Max}
	if o.Listen == "" {
		return listen.Open(how)
	}
	host, text, err := net.SplitHostPort(o.Listen)
	port, bad := strconv.ParseUint(text, 10, 16)
	if err != nil || bad != nil {
		return nil, &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("cannot listen on %q", o.Listen), Next: "Give HOST:PORT, or :PORT for every address of this host"}
	}
	if host != "" {
		how.Host, how.Interface = host, ""
	}
	if port == 0 {
		return listen.Open(how)
	}
	if host, err = listen.Host(how); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, text))
	if err != nil {
		return nil, &edgeclient.Fault{Code: edgeclient.Refused, What: "cannot listen on " + o.Listen, Why: errors.Unwrap(err), Next: "Give another address with --listen"}
	}
	return ln, nil
}

// WorkerOptions say how a worker runs that is started by hand. Scheduler is needed.
type WorkerOptions struct {
	Scheduler   string        // host:port
	Credentials string        // file of the cluster; "" is the default: see edgeclient.CredentialsPath
	Cores       int           // tasks that run at once
	Memory      int64         // bytes that this process, its tasks and results may take together
	Named       graph.Amounts // other resources that tasks may ask for
	Ports       edgeclient.Ports
	Interface   string
	// Dir is where a scratch directory is made, in which commands run; "" is the
	// temporary directory. It must not be on a file system mounted noexec.
	Dir string
	// Patience ends the worker when it has had no scheduler for so long; 0 is never.
	Patience time.Duration
	// Tell tells a person when the scheduler is found and lost; nil is nobody.
	Tell func(format string, args ...any)
	Log  *slog.Logger // nil discards
}

// RunWorker is the life of a worker that is started by hand. It keeps looking for its
// scheduler, and comes back when that starts again. It returns nil when ctx has ended,
// with every process that it started ended, and an error when the scheduler does not
// accept it or Patience is over. Of this process there are no core dumps any more, nor of
// those that it starts, unless they change that.
func RunWorker(ctx context.Context, o WorkerOptions) error {
	withoutCore(o.Log)
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	m, err := handMeans(o.Credentials, o.Dir, identity.Worker, host+"-"+strings.ToLower(rand.Text()[:8]))
	if err != nil {
		return err
	}
	defer m.remove()
	ln, err := listen.Open(spec.Listen{Interface: o.Interface, PortMin: o.Ports.Min, PortMax: o.Ports.Max})
	if err != nil {
		return err
	}
	work, end := context.WithCancelCause(ctx)
	defer end(nil)
	contact := newContact(o, end)
	defer contact.close()
	engineworker.TuneMemory()
	err = engineworker.Run(work, engineworker.Options{
		Identity:    m.id,
		Scheduler:   func(context.Context) (string, uint64, error) { return o.Scheduler, 0, nil },
		Tried:       contact.tried,
		Host:        host,
		Slots:       o.Cores,
		Memory:      uint64(float64(o.Memory) * resultShare),
		TaskMemory:  uint64(float64(o.Memory) * (limitShare - resultShare)),
		Named:       o.Named,
		MemoryLimit: uint64(float64(o.Memory) * limitShare),
		Dir:         m.dir,
		WorkDir:     m.dir,
		Listener:    ln,
		Bundle:      m.bundle,
		Funcs:       engine.Builtins(),
		Adopt:       true,
		Version:     Version,
		Log:         o.Log,
	})
	if err == nil && ctx.Err() == nil {
		err = context.Cause(work)
	}
	return err
}

// contact follows how a worker fares with its scheduler, and ends it when there is no
// hope, or no patience left.
type contact struct {
	opts WorkerOptions
	end  context.CancelCauseFunc

	mu     sync.Mutex
	timer  *time.Timer // runs while there is no scheduler and patience has an end; else nil
	last   error       // of the last try
	joined bool        // at least once
}

func newContact(o WorkerOptions, end context.CancelCauseFunc) *contact {
	if o.Tell == nil {
		o.Tell = func(string, ...any) {}
	}
	c := &contact{opts: o, end: end}
	c.wait()
	return c
}

// tried is told of each try.
func (c *contact) tried(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := edgeclient.AddressID(c.opts.Scheduler)
	first := c.last == nil
	c.last = err
	switch {
	case err == nil:
		c.stop()
		c.joined = true
		c.opts.Tell("joined %s with %s for %d tasks at once", at, edgeclient.FormatBytes(c.opts.Memory), c.opts.Cores)
	case !c.joined && identity.Refusal(err):
		c.end(&edgeclient.Fault{Code: edgeclient.Auth, What: "the scheduler at " + c.opts.Scheduler + " is of another cluster", Why: err,
			Next: "Copy the scheduler's credentials file here, and name it with --credentials"})
	case !c.joined && errors.Is(err, wire.Mismatch):
		c.end(&edgeclient.Fault{Code: edgeclient.Mismatch, What: "cannot join " + at, Why: err, Next: "Install the scheduler's version of yarnd here"})
	case first:
		c.wait()
		how := "trying until it answers: --timeout bounds that"
		if c.opts.Patience > 0 {
			how = "trying for " + c.opts.Patience.String()
		}
		c.opts.Tell("no scheduler at %s: %v; %s", c.opts.Scheduler, err, how)
	}
}

// wait lets patience run out, if it has an end and does not do so already.
func (c *contact) wait() {
	if c.opts.Patience > 0 && c.timer == nil {
		c.timer = time.AfterFunc(c.opts.Patience, c.lost)
	}
}

func (c *contact) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.end(&edgeclient.Fault{Code: edgeclient.TimedOut, What: fmt.Sprintf("no scheduler at %s for %s", c.opts.Scheduler, c.opts.Patience), Why: c.last,
			Next: "Check that yarnd scheduler runs there, and that no firewall is between"})
	}
}

func (c *contact) stop() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

func (c *contact) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop()
}

// handIdentity makes a certificate from the credentials that all processes share.
func handIdentity(path string, role identity.Role, name string) (*identity.Identity, error) {
	path, err := edgeclient.CredentialsPath(path)
	if err != nil {
		return nil, err
	}
	credentials, err := edgeclient.ReadCredentials(path)
	if err != nil {
		return nil, err
	}
	return credentials.Identity(role, name)
}

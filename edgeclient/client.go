package edgeclient

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Options say where applications run and how to speak to a person.
type Options struct {
	Provider    string        // "yarn" or "local"; "" is $YARND_PROVIDER, else "yarn"
	Credentials string        // file of clusters that were started by hand; "" is the default, see CredentialsPath
	Define      []string      // Hadoop properties "key=value" over the site's files
	Principal   string        // on a cluster with Kerberos: of the Keytab
	Keytab      string        // file of keys; "" is the ticket cache that kinit fills
	ProxyUser   string        // whom to act for; "" is $HADOOP_PROXY_USER, else nobody
	CallTimeout time.Duration // bound of one answer of the cluster; 0 is 20 s
	Log         *slog.Logger  // nil discards
	// Leash ends the applications that this client starts on this machine when it is
	// closed, or its process ends in whatever way.
	Leash bool
	// Progress tells a person what happens, a line at a time; nil is silence. It is called at any moment while a verb runs or a
	// session is open, by one goroutine at a time.
	Progress func(format string, args ...any)
	// Upload is told of an upload: its name, the bytes sent and all bytes, in
	// order; nil is silence.
	Upload func(name string, sent, all int64)
	// VmSize estimates the address space in bytes that the processes of one
	// container of each role will have, for clusters that limit it; nil skips
	// that check.
	VmSize func(ctx context.Context, bundle string) (am, scheduler, worker int64, err error)
}

// Client has the verbs of the edge node. It is safe for concurrent use.
type Client struct {
	cluster Cluster
	opts    Options
	onStep  func(step)    // of a submission, in tests; nil is nobody
	patient time.Duration // how long another's submission is waited for; 0: elsewhere
}

// Open makes a client. It connects when the first verb needs it. The caller
// closes it.
func Open(_ context.Context, opts Options) (*Client, error) { return open("", opts) }

// oneAtATime is tell for several goroutines.
func oneAtATime(tell func(string, ...any)) func(string, ...any) {
	var mu sync.Mutex
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		tell(format, args...)
	}
}

// open makes a client; address is that of a cluster that was started by hand, else "".
func open(address string, opts Options) (*Client, error) {
	if opts.CallTimeout <= 0 {
		opts.CallTimeout = 20 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Progress == nil {
		opts.Progress = func(string, ...any) {}
	}
	opts.Progress = oneAtATime(opts.Progress)
	var cluster Cluster
	var err error
	switch provider := cmp.Or(opts.Provider, os.Getenv("YARND_PROVIDER"), "yarn"); {
	case address != "":
		cluster, err = openByHand(address, opts)
	case provider == "yarn":
		cluster, err = openYARN(opts)
	case provider == "local":
		cluster, err = openLocal(opts)
	default:
		err = usagef("Use --provider yarn or --provider local", "unknown provider %q", opts.Provider)
	}
	if err != nil {
		return nil, err
	}
	return &Client{cluster: cluster, opts: opts}, nil
}

// OpenFor makes a client for where an application runs: a local id or an address,
// given or current, says so by itself.
func OpenFor(ctx context.Context, app string, opts Options) (*Client, error) {
	if app == "current" {
		id, err := Current()
		if err != nil {
			return nil, err
		}
		app = id
	}
	if IsAddress(app) {
		return open(app, opts)
	}
	if IsLocalID(app) {
		opts.Provider = "local"
	}
	return Open(ctx, opts)
}

// Close lets go of connections; applications live on.
func (c *Client) Close() error { return c.cluster.Close() }

// User is who we are on the cluster.
func (c *Client) User() string { return c.cluster.User() }

// Where says what cluster this is, for messages.
func (c *Client) Where() string { return c.cluster.Name() }

// Report tells of one application by its full id.
func (c *Client) Report(ctx context.Context, id string) (Report, error) {
	return c.cluster.Report(ctx, id)
}

// List tells of applications, newest first.
func (c *Client) List(ctx context.Context, f Filter) ([]Report, error) {
	return c.cluster.List(ctx, f)
}

// poll calls f at growing intervals until it is done or ctx ends.
func poll(ctx context.Context, f func() (done bool, err error)) error {
	const longest = time.Second
	for pause := 50 * time.Millisecond; ; pause = min(pause*3/2, longest) {
		done, err := f()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// outage is how long a wait outlives a ResourceManager that does not answer.
const outage = 10 * time.Minute

// Wait returns when the application is as far as wait says, n workers for
// WaitWorkers. One that failed or was killed is an AppFailed fault with its
// diagnostics; one that ended well without coming so far is a NotFound fault.
func (c *Client) Wait(ctx context.Context, id string, wait Wait, n int) (Report, error) {
	if hand, ok := c.cluster.(*byHand); ok && wait == WaitFinished {
		return Report{}, hand.refuse("wait for the end of")
	}
	var last Report
	var heard time.Time
	said := ""
	err := poll(ctx, func() (bool, error) {
		r, err := c.cluster.Report(ctx, id)
		if CodeOf(err) == TimedOut && last.ID != "" && ctx.Err() == nil && time.Since(heard) < outage {
			c.opts.Progress("%s: %v", id, err) // a restart of the ResourceManager ends no wait
			return false, nil
		}
		if err != nil {
			return false, err
		}
		last, heard = r, time.Now()
		c.tidy(ctx, r)
		if s := string(r.State); s != said {
			said = s
			c.opts.Progress("%s: %s", id, describe(r))
		}
		switch {
		case r.Failed():
			return true, Ended(r)
		case r.State.Ended() && (wait == WaitWorkers || wait == WaitRunning):
			return true, &Fault{Code: NotFound, What: fmt.Sprintf("%s has ended: %s", id, r.Final), Why: textError(r.Diagnostics), Next: "See yarnd logs " + id}
		case r.State.Ended():
			return true, nil
		}
		switch wait {
		case WaitNone:
			return true, nil
		case WaitAccepted:
			return r.State == StateAccepted || r.State == StateRunning, nil
		case WaitRunning:
			return r.Endpoint != "", nil
		case WaitWorkers:
			if r.Endpoint == "" {
				return false, nil
			}
			return c.waitWorkers(ctx, r, n)
		}
		return r.State.Ended(), nil
	})
	if err != nil {
		what := fmt.Sprintf("%s has not come so far as %s", id, wait)
		if last.State == StateAccepted && last.Diagnostics != "" {
			what += ": it waits: " + reason(last.Diagnostics)
		}
		err = wrap(TimedOut, what, err, "See yarnd status "+id)
	}
	return last, err
}

// Ended is the fault that tells of an application that ended badly, AppFailed, or well
// when it was wanted alive, NotFound.
func Ended(r Report) error {
	f := &Fault{Code: AppFailed, What: fmt.Sprintf("%s ended %s", r.ID, r.Final), Next: "See yarnd logs " + r.ID}
	if !r.Failed() {
		f.Code = NotFound
	}
	if r.Diagnostics != "" {
		f.Why = fmt.Errorf("%s", r.Diagnostics)
	}
	return f
}

func describe(r Report) string {
	if r.State == StateAccepted && r.Diagnostics != "" {
		return "ACCEPTED, waiting: " + reason(r.Diagnostics)
	}
	return string(r.State)
}

// reason is the sentence in a ResourceManager's diagnostics, without the date
// before it and the queue's accounts after it.
func reason(diagnostics string) string {
	s := firstLine(diagnostics)
	if _, after, ok := strings.Cut(s, "] "); ok && strings.HasPrefix(s, "[") {
		s = after
	}
	s, _, _ = strings.Cut(s, " Details :")
	return strings.TrimRight(s, " .")
}

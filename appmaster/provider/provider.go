// Package provider is where containers come from. [Provider] is the whole
// contract; its implementations are in folders of their own:
//
//	provider/yarn    containers of a YARN cluster
//	provider/local   processes on this machine, with the same verbs
//
// and provider/providertest is the suite that each of them passes.
package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Provider allocates containers, starts processes in them and tells what becomes
// of them. One loop gives it orders (Ask, Release, Start, Stop: these never block
// and never fail; what comes of them is an event), any goroutine may ask it
// questions (Describe, ReadLog).
//
// # Events
//
// After Register the provider sends on the channel of Events:
//
//   - Allocated for each container that it allocates. Containers of one pool
//     number at most what Ask asked for, as far as the provider can help it; a
//     cluster may hand out more, and the receiver releases those.
//   - for each Start exactly one of Launched and LaunchFailed, unless the
//     container ends before, when Completed may come instead;
//   - Completed for each container that ends after it was Allocated, once, except
//     after LaunchFailed. Every end is reported, also when many come together.
//   - Preempt, Adopted, Cluster where the cluster has such things.
//
// The receiver must keep receiving; orders given meanwhile do not wait for it.
//
// # Ends
//
// The provider ends a container's process with SIGTERM, then SIGKILL after a short
// grace. Nothing of a container stays behind: its whole process tree is gone when
// Completed is sent.
type Provider interface {
	// Name is "yarn" or "local".
	Name() string

	// Register announces the application master and makes the provider ready. It
	// is called once, before anything else, and returns when the provider has
	// accepted it.
	Register(ctx context.Context, r Registration) (Registered, error)

	// Events is the channel of what happens. It is closed by Close.
	Events() <-chan reconcile.Event

	// Done is closed when the provider has no more use for this application
	// master: another attempt has taken its place, or the application was killed.
	// Err then tells which. The application master exits and touches nothing.
	Done() <-chan struct{}
	Err() error

	// Trusted is until when the cluster is sure to count on this application master:
	// until then it starts no other. The zero time is for ever.
	Trusted() time.Time

	// Vouching is how the cluster vouches for clients, as it said last.
	Vouching() Vouching

	// Ask sets how many more containers of a pool are to be allocated, beyond
	// those whose Allocated the caller had received when it decided; seen is how
	// many these were in all. So an ask says how many there shall be in total: it
	// replaces the one before, and counts what is on its way to the caller.
	Ask(pool string, n, seen int)

	// Start starts the pool's command in an allocated container. The secrets get
	// into its credentials file, which HADOOP_TOKEN_FILE_LOCATION names.
	Start(id string, secrets map[string][]byte)

	// Stop ends a container that was started, or is being started. Release gives
	// one back that was not started, or of which nobody knows. Each does the
	// other's work if need be; both may be repeated; unknown ids are ignored.
	Stop(id string)
	Release(id string)

	// Avoid has no containers allocated on these nodes, and on all others again, where
	// the cluster can be told so.
	Avoid(nodes []string)

	// Progress tells the cluster how far the application is, 0 to 1, where it
	// wants to know.
	Progress(done float32)

	// Describe tells what is known of a container; the zero value when nothing is.
	Describe(id string) Description

	// ReadLog reads from a log file ("stdout" or "stderr") of a container that was
	// started, running or ended, from a byte offset on. A negative offset counts
	// from the end. It returns how much it read and where that begins, and io.EOF
	// with 0 when there is nothing more at present. ErrNoLog tells that there is
	// no such container or file, *LogElsewhereError that somebody else may read it.
	ReadLog(ctx context.Context, id, file string, offset int64, p []byte) (n int, at int64, err error)

	// Unregister tells the cluster how the application ended. It repeats itself
	// until the cluster has taken note or the context ends. Afterwards the only
	// call allowed is Close.
	Unregister(ctx context.Context, f Final) error

	// Close ends everything that the provider started on this machine and frees
	// what it holds. It does not unregister, so a next attempt can take over. It
	// can be called twice.
	Close() error
}

// Registration is what a provider is told about the application master.
type Registration struct {
	Host        string // where its gRPC listener is
	Port        int
	TrackingURL string
	Pools       []spec.Pool // in order of importance
	Access      spec.Access // told to the nodes with each container
}

// Registered is what a provider answers.
type Registered struct {
	// Maximum is the largest container there can be; zero fields are unknown.
	Maximum spec.Resource
	// Adopted are the containers of earlier attempts that still run, as far as the
	// cluster knows of them yet: others follow as events.
	Adopted []reconcile.Adoptee
	// Blind tells that the cluster's answer got lost and will not be repeated: it
	// has registered this attempt, and what runs is not known. Maximum and Adopted
	// are empty.
	Blind bool
}

// Vouching is how a cluster vouches for who its clients are: with tokens whose passwords
// the application master can tell.
type Vouching struct {
	Key Key // of this attempt; none where the cluster does not vouch for anybody, or its answer got lost
	// Access is who may look and who may change, where the cluster says so; Told tells that it
	// does. Of who may submit it knows nothing.
	Access spec.Access
	Told   bool
}

// Key is a master key of tokens. It does not print.
type Key []byte

// String hides the key.
func (k Key) String() string { return fmt.Sprintf("key of %d bytes", len(k)) }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Format is String for every verb: %x would print the bytes.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) } //nolint:errcheck // fmt's own

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Description is what is known of a container.
type Description struct {
	Node string
	PID  int    // on this machine; 0 when it has none here
	Logs string // URL for a browser; "" when there is none
}

// Final is how an application ended.
type Final struct {
	Status      reconcile.Status
	Diagnostics string
	URL         string // of a history page; "" when there is none
}

// ErrNoLog tells that there is no such container or no such log file.
var ErrNoLog = errors.New("no such log")

// LogElsewhereError tells that a log is there, and is shown to persons alone: by a web server that wants proof of who they are,
// or whose certificate they may know.
type LogElsewhereError struct {
	Server string // host:port
	Err    error  // what it says to us
}

func (e *LogElsewhereError) Error() string { return e.Err.Error() }

// Unwrap returns what the server says.
func (e *LogElsewhereError) Unwrap() error { return e.Err }

// TailLog returns the last bytes of a log file, at most max.
func TailLog(ctx context.Context, p Provider, id, file string, max int) ([]byte, error) {
	buf := make([]byte, max)
	n, at, err := p.ReadLog(ctx, id, file, -int64(max), buf)
	for err == nil && n < max {
		var m int
		m, _, err = p.ReadLog(ctx, id, file, at+int64(n), buf[n:])
		n += m
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buf[:n], err
}

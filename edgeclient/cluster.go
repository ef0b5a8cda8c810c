package edgeclient

import (
	"context"
	"io"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Cluster is a place that takes applications. Its methods are safe for
// concurrent use, return [Fault] errors that name the cluster's own words, and
// end when their context does.
type Cluster interface {
	// Name says where this is, for messages: "ResourceManager rm:8032".
	Name() string
	// User is who we are there.
	User() string
	// NewID reserves an application id and tells the largest container that the
	// cluster grants.
	NewID(ctx context.Context) (id string, largest Resources, err error)
	// Forget undoes NewID for an application that was never submitted, and that
	// nobody else submits.
	Forget(id string)
	// Check refuses a request that the cluster can never satisfy: unknown queue,
	// container too large. It changes nothing.
	Check(ctx context.Context, r Request, largest Resources) error
	// CheckTokens refuses a request for which the cluster would give no tokens,
	// though it needs them. It leaves nothing there.
	CheckTokens(ctx context.Context, r Request) error
	// Submit starts the application master. When it fails the cluster knows no
	// such application, or is told to end it; with Launch.Again the error may also be
	// one that answers errors.Is for errUnknown. However often and from however many
	// processes an application is submitted, it is started once.
	Submit(ctx context.Context, l Launch) error
	// Report tells of one application; a NotFound fault when there is none.
	Report(ctx context.Context, id string) (Report, error)
	// List tells of the applications of type YARND, newest first.
	List(ctx context.Context, f Filter) ([]Report, error)
	// Kill ends an application and returns when the cluster says that it ended.
	Kill(ctx context.Context, id, why string) error
	// FinishedLogs gives the logs of an application that ended, file by file, each
	// to be read before the next is asked for.
	FinishedLogs(ctx context.Context, r Report, yield func(LogFile) error) error
	// FS is the file system with home directories; opened when first
	// needed; the caller does not close it.
	FS(ctx context.Context) (hdfs.FS, error)
	// Site is the configuration that containers need to find the cluster, as
	// Hadoop's XML; empty where there is none to give.
	Site() ([]byte, error)
	// Env is the environment of the application master's process; nothing secret.
	Env() map[string]string
	// Realm is the default realm of Kerberos; "" without.
	Realm() string
	// VmRatio is how many times its memory a container may have of address space;
	// 0 where that is not limited.
	VmRatio() float64
	// Close lets go of connections.
	Close() error
}

// State is where an application is in its life, as YARN names it.
type State string

const (
	StateNew      State = "NEW"
	StateAccepted State = "ACCEPTED" // waiting for its application master
	StateRunning  State = "RUNNING"
	StateFinished State = "FINISHED" // ended by itself; see Report.Final
	StateFailed   State = "FAILED"
	StateKilled   State = "KILLED"
)

// Ended reports whether s is a last state.
func (s State) Ended() bool {
	return s == StateFinished || s == StateFailed || s == StateKilled
}

// Report is what a cluster says of one application.
type Report struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	User        string    `json:"user"`
	Queue       string    `json:"queue"`
	State       State     `json:"state"`
	Final       string    `json:"finalStatus,omitempty"` // SUCCEEDED, FAILED, KILLED, UNDEFINED
	Diagnostics string    `json:"diagnostics,omitempty"`
	TrackingURL string    `json:"trackingUrl,omitempty"`
	Tags        []string  `json:"tags,omitempty"`
	Attempt     string    `json:"attempt,omitempty"`
	Progress    float32   `json:"progress"`
	Started     time.Time `json:"started"`
	Finished    time.Time `json:"finished,omitzero"`
	// Endpoint is the application master's session address, host:port; empty
	// until it has registered.
	Endpoint string `json:"endpoint,omitempty"`

	// letter is the cluster's word for who we are, for the application master; nil: none. It is a
	// function so that it does not print.
	letter func() token.Token
	// guarded tells that the cluster proves who its users are: who may see the application
	// has a letter.
	guarded bool
}

// Failed reports whether the application ended otherwise than well.
func (r Report) Failed() bool {
	return r.State.Ended() && (r.State != StateFinished || r.Final != "SUCCEEDED")
}

// Filter chooses applications to list.
type Filter struct {
	All   bool   // those that have ended too
	User  string // "" is everybody
	Name  string
	Queue string
}

// Launch is what starts an application master.
type Launch struct {
	ID      string
	Request Request
	Cluster string            // that it is for, by name
	Staging string            // URL of the staging directory
	Files   []LocalFile       // what the container of the application master gets
	Env     map[string]string // nothing secret

	// Again says that whoever submits it will do so again until it is known to have
	// arrived. Then it is not ended when that is unknown.
	Again bool `json:"-"`
}

// LocalFile is a file that a container gets.
type LocalFile struct {
	Link      string // its name in the container's directory
	URL       string
	Size      int64
	ModTimeMs int64
	Private   bool // kept on the node for the user's next application; else for this one alone
}

// LogFile is one log of one container. Content is valid during the callback.
type LogFile struct {
	Container string
	Node      string
	Name      string // stdout, stderr, …
	Size      int64  // bytes; -1 is unknown
	Content   io.Reader
}

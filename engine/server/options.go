package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/identity"
)

// Options say how a scheduler runs. Identity is needed; the zero value of
// everything else has a meaning.
type Options struct {
	Identity *identity.Identity // with the role scheduler
	Listener net.Listener       // plain TCP; nil: listen on Address. Serve closes it
	Address  string             // host:port to listen on; "" is ":0"
	Fleet    Fleet              // nil: workers come and go by themselves
	Log      *slog.Logger       // nil: nowhere
	Dir      string             // owner-only directory for bundles; "": bundles are refused
	Epoch    uint64             // grows with each scheduler of the application; 0 is 1
	Version  string             // of the library, for people
	Bundle   graph.Digest       // of the workers' own binary, if known

	// Journal is where the scheduler writes what one that takes over has to know; nil: with
	// the process everything is lost. One of a higher Epoch takes it over.
	Journal journal.Store
	// Bundles is where clients' bundles are kept for a scheduler that takes over on another
	// host; nil: Dir is all there is.
	Bundles journal.Store
	// JournalGrowth is how many bytes the journal grows before all state is written anew; 0 is
	// 64 MiB. It is more when the state is large.
	JournalGrowth int64
	// JournalRows is how many tasks are looked at for that in one turn; 0 is 8192.
	JournalRows int
	// Return is how long workers may take to come back after a takeover: so long if none
	// does, else a quarter of it from one to the next; 0 is 40 s.
	Return time.Duration

	Lease      time.Duration // a silent connection is lost after it; 0 is 30 s
	Grace      time.Duration // a worker whose connection broke may come back for so long; 0 is 1 s
	Session    time.Duration // a client may come back for so long; 0 is 60 s
	Keep       time.Duration // a job of a name that nobody uses is there for so long; 0 is 24 h, below 0 is for ever
	MaxFrame   int           // bytes of the largest frame; 0 is wire.MaxFrame
	Outbox     int           // bytes that wait for a peer before it is held back; 0 is 4 MiB
	MaxBundle  int64         // bytes of the largest bundle; 0 is 1 GiB
	MaxBundles int64         // bytes of all bundles; 0 is 8 GiB
	Memory     int64         // bytes that this process may take: tasks beyond are refused; 0 is no limit
	Adapt      adapt.Config  // of pools that scale by themselves
	Alone      bool          // this process is the scheduler and nothing else: it may set the garbage collector
}

func (o Options) withDefaults() (Options, error) {
	if o.Identity == nil {
		return o, errors.New("scheduler: no identity")
	}
	if role := o.Identity.Subject().Role; role != identity.Scheduler {
		return o, fmt.Errorf("scheduler: the identity is a %s's", role)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&o.Address, ":0")
	orDefault(&o.Epoch, 1)
	orDefault(&o.JournalGrowth, 64<<20)
	orDefault(&o.JournalRows, snapshotRows)
	orDefault(&o.Return, 40*time.Second)
	orDefault(&o.Lease, 30*time.Second)
	orDefault(&o.Grace, time.Second)
	orDefault(&o.Session, 60*time.Second)
	orDefault(&o.Keep, defaultKeep)
	orDefault(&o.Outbox, 4<<20)
	orDefault(&o.MaxFrame, 64<<20)
	orDefault(&o.MaxBundle, 1<<30)
	orDefault(&o.MaxBundles, 8<<30)
	return o, nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

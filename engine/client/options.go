package client

import (
	"context"
	"log/slog"
	"os"
	"os/user"
	"time"

	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// Options say whom to connect to, and as whom. Identity and Scheduler are
// required.
type Options struct {
	// Identity is of role client.
	Identity *identity.Identity
	// Scheduler returns the scheduler's address (host:port) and epoch, 0 if that is
	// not known. It is asked again for every new connection, as the scheduler may
	// have been replaced; it may wait until there is one. An error marked by
	// Permanent ends the client.
	Scheduler func(context.Context) (endpoint string, epoch uint64, err error)

	User string // shown to people; "" is the identity's name
	Host string // shown to people; "" is this host's name

	// OwnBundle says that Go tasks are to run in this very program, not in the
	// workers' own: it is uploaded when the cluster does not have it. It must be
	// linked statically (CGO_ENABLED=0).
	OwnBundle bool
	// Executable is the program that OwnBundle uploads; "" is os.Executable.
	Executable string

	// Patience is how long the client tries to reach the scheduler again before all
	// that wait get ErrUnreachable; 0 is five minutes.
	Patience time.Duration
	// InFlight is how many bytes of submissions of one job may wait for the
	// scheduler's acknowledgement; 0 is 16 MiB.
	InFlight int
	// Lease is how long the scheduler may be silent before the connection is taken
	// for broken; 0 is 30 s.
	Lease time.Duration

	// Dial makes the TCP connections to the scheduler and the workers; nil is a
	// net.Dialer.
	Dial identity.DialFunc
	Log  *slog.Logger // nil discards
}

func (o *Options) setDefaults() {
	if o.User == "" {
		o.User = o.Identity.Subject().Name
	}
	if o.User == "" {
		if u, err := user.Current(); err == nil {
			o.User = u.Username
		}
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // for people only
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.InFlight == 0 {
		o.InFlight = 16 << 20
	}
	if o.Lease == 0 {
		o.Lease = wire.DefaultLease
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

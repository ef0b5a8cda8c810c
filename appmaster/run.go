package appmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/appmaster/memory"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/identity"
)

// Options of an application master. Spec, Seed and Provider are required.
type Options struct {
	Spec     *spec.Application
	Seed     identity.Seed
	Provider provider.Provider // Run closes it
	Staging  Staging           // nil: there is none

	Container string // its own container id; "" is "am"
	Node      string // its own host name, by which others reach it; "" asks the system
	Attempt   int    // counts from 1; 0 is 1
	LogDir    string // where its own stdout and stderr are, for Session.Logs; "" means unknown

	// LeaveOnCancel tells that the end of Run's context is the end of this process
	// only, not of the application: nothing is stopped or unregistered, so that
	// the cluster can start the next attempt. Without it the application ends,
	// quickly, as KILLED.
	LeaveOnCancel bool

	Web Web

	// Delegation has the tokens by which containers act for the owner; nil: none are needed.
	Delegation *delegation.Keeper

	// ShortName maps the principals by which the cluster knows its clients to users; nil
	// takes names as they are, and none with a realm.
	ShortName func(principal string) (string, error)

	Log *slog.Logger // nil discards
}

// Web says how the page is reached.
type Web struct {
	// ProxyHosts are the hosts of the cluster's web proxy. If there are any, the
	// page is shown to them alone, and other visitors are sent to ProxyURL.
	ProxyHosts []string
	ProxyURL   string
	// Open tells that all of the page is for everybody who reaches it. Otherwise it
	// is for users whom the proxy names and who may look at the application; others
	// see counts.
	Open bool
}

// Staging is the application's owner-only directory. Methods may be called
// concurrently.
type Staging interface {
	memory.Files
	// Remove removes the directory and all that is in it. Removing it twice is no
	// error.
	Remove(ctx context.Context) error
}

// EndError tells that the application ended otherwise than SUCCEEDED.
type EndError struct {
	Status reconcile.Status
	Why    string
}

func (e *EndError) Error() string { return fmt.Sprintf("application %s: %s", e.Status, e.Why) }

// ErrLeft tells that this attempt ended and the application did not.
var ErrLeft = errors.New("the application master left the application to its next attempt")

// How long the steps of the end may take.
const (
	tailTimeout       = 5 * time.Second
	removeTimeout     = 2 * time.Minute // HDFS may be failing over
	unregisterTimeout = time.Minute
)

// Run is the whole life of an application master. It returns nil when the
// application has SUCCEEDED, *EndError when it has ended otherwise, ErrLeft or the
// provider's error when only this attempt has ended, and any other error when it
// could not begin.
func Run(ctx context.Context, o Options) error {
	l, err := newLoop(o)
	if err != nil {
		return err
	}
	defer l.prov.Close()
	doors, err := l.open()
	if err != nil {
		return err
	}
	defer doors.close()

	registered, err := l.prov.Register(ctx, provider.Registration{Host: l.node, Port: doors.port, TrackingURL: l.web, Pools: l.opt.Spec.Pools, Access: l.opt.Spec.Access})
	if err != nil {
		return fmt.Errorf("application master: cannot register: %w", err)
	}
	l.log.Info("registered", "address", l.address(), "attempt", l.attempt, "adopted", len(registered.Adopted))
	last, err := l.openMemory(ctx)
	if err != nil {
		return err
	}
	background := l.work(ctx)
	defer background()
	end := l.run(ctx, registered, last)
	background()
	return l.conclude(end)
}

// work starts what goes on beside the loop. The function that it returns ends that and
// waits; it can be called twice.
func (l *loop) work(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if l.opt.Staging != nil {
		wg.Go(func() { l.publishAddress(ctx) })
		wg.Go(func() { l.keep.run(ctx) })
	}
	if l.opt.Delegation != nil {
		wg.Go(func() { l.opt.Delegation.Run(ctx) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// conclude does what remains when the loop has ended.
func (l *loop) conclude(end ending) error {
	if end.left != nil {
		l.log.Info("leaving", "why", end.left)
		return end.left
	}
	// The context of Run may have ended; what follows has times of its own.
	ctx := context.Background()
	why := end.Why
	if end.Culprit != "" {
		why += l.lastWords(ctx, end.Finish)
	}
	// First the cluster, then the files: a next attempt, should this one end between
	// the two, needs them for as long as the cluster would start it.
	bounded, cancel := context.WithTimeout(ctx, unregisterTimeout)
	defer cancel()
	if err := l.prov.Unregister(bounded, provider.Final{Status: end.Status, Diagnostics: why}); err != nil {
		return fmt.Errorf("the application has ended %s, and the cluster could not be told: %w", end.Status, err)
	}
	if l.opt.Staging != nil {
		bounded, cancel := context.WithTimeout(ctx, removeTimeout)
		defer cancel()
		if err := l.opt.Staging.Remove(bounded); err != nil {
			l.log.Warn("cannot remove the staging directory", "err", err)
		}
	}
	l.publishEnd(end.Status, why)
	l.log.Info("ended", "status", end.Status, "why", why)
	if end.Status != reconcile.Succeeded {
		return &EndError{end.Status, why}
	}
	return nil
}

// lastWords returns the end of the culprit's log, as part of a diagnosis, or what the cluster says of it where the log cannot be
// read: a NodeManager, which may show logs to persons alone, quotes the end of stderr.
func (l *loop) lastWords(ctx context.Context, end reconcile.Finish) string {
	ctx, cancel := context.WithTimeout(ctx, tailTimeout)
	defer cancel()
	said := ""
	for _, file := range []string{"stderr", "stdout"} {
		text, err := provider.TailLog(ctx, l.prov, end.Culprit, file, 2<<10)
		if err != nil {
			l.log.Info("cannot read the log", "container", end.Culprit, "file", file, "err", err)
			said = end.Said
		}
		if line := printable(text); line != "" {
			return "\nthe end of its " + file + ":\n" + line
		}
	}
	if said = printable([]byte(said)); said != "" {
		return ": " + said
	}
	return ""
}

// publishAddress writes where this attempt is, for containers and clients of an
// earlier one, until it has worked once.
func (l *loop) publishAddress(ctx context.Context) {
	addr := spec.Address{Version: spec.Version, Attempt: l.attempt, AM: []string{l.address()}, Web: l.web}
	if l.prov.Name() == "local" {
		addr.PID = os.Getpid()
	}
	data, err := addr.Encode()
	for pause := 200 * time.Millisecond; err == nil; pause = min(2*pause, 5*time.Second) {
		err := l.alone() // else the address in the file may be that of a later attempt
		if err == nil {
			err = l.opt.Staging.Publish(ctx, spec.AddressFile, data)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		l.log.Warn("cannot publish the address yet", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
	l.log.Error("cannot publish the address", "err", err)
}

func (l *loop) address() string { return net.JoinHostPort(l.node, strconv.Itoa(l.port)) }

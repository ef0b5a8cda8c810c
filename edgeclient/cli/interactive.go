package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

type remoteCommand = engine.Future[engine.CommandResult]

// feed gives a remote command our standard input until it has ended. The context ends
// when that cannot be read. stop waits; a read under way is left to itself.
func (c *command) feed(ctx context.Context, future *remoteCommand) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := engine.Feed(ctx, future, c.In); err != nil {
			cancel(&edgeclient.Fault{Code: edgeclient.Internal, What: "cannot read standard input", Why: err})
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// passInterrupts has the first interrupt go to a remote command, which may take it as it
// likes; the second one, as any other end of ctx, ends the context that it returns. So
// does the first one when the command does not get it: who waits for a cluster that
// does not answer can leave.
func (c *command) passInterrupts(outer context.Context, future *remoteCommand) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outer))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var running sync.WaitGroup
	running.Go(func() {
		var passed chan bool // the command has got the first one, or not
		for over := outer.Done(); ; {
			select {
			case s := <-signals:
				if s == os.Interrupt && passed == nil {
					passed = make(chan bool, 1)
					running.Go(func() { passed <- c.interruptRemote(ctx, future) })
					continue
				}
				cancel(context.Canceled)
			case ok := <-passed:
				if ok {
					continue
				}
				cancel(context.Canceled)
			case <-over:
				// A signal ends the outer context as well. By this call's end it has been
				// told here too: then it decides.
				signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
				if over = nil; len(signals) > 0 || passed != nil {
					continue
				}
				cancel(context.Cause(outer))
			case <-ctx.Done():
			}
			return
		}
	})
	return ctx, func() {
		cancel(nil)
		running.Wait()
		signal.Stop(signals)
	}
}

// interruptRemote sends the command an interrupt; false says that it does not run.
func (c *command) interruptRemote(ctx context.Context, future *remoteCommand) bool {
	err := engine.Signal(ctx, future, syscall.SIGINT)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, engine.ErrState) {
			c.progress("cannot pass the interrupt on: %v", err)
		}
		return false
	}
	c.progress("the command was interrupted; interrupt again to end it")
	return true
}

package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
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
// likes; the second one, as any other end of ctx, ends the context that it returns.
func (c *command) passInterrupts(outer context.Context, future *remoteCommand) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outer))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		passed := false
		for over := outer.Done(); ; {
			select {
			case s := <-signals:
				if s == os.Interrupt && !passed && c.interruptRemote(ctx, future) {
					passed = true
					continue
				}
				cancel(context.Canceled)
			case <-over:
				// A signal ends the outer context as well. By this call's end it has been
				// told here too: then it decides.
				signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
				if over = nil; len(signals) > 0 || passed {
					continue
				}
				cancel(context.Cause(outer))
			case <-ctx.Done():
			}
			return
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		signal.Stop(signals)
	}
}

// interruptRemote sends the command an interrupt; false says that it does not run.
func (c *command) interruptRemote(ctx context.Context, future *remoteCommand) bool {
	err := engine.Signal(ctx, future, syscall.SIGINT)
	if err != nil {
		if !errors.Is(err, engine.ErrState) {
			c.progress("cannot pass the interrupt on: %v", err)
		}
		return false
	}
	c.progress("the command was interrupted; interrupt again to end it")
	return true
}

package amclient

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/identity"
)

// Options of a Client. Addresses or Locate is needed.
type Options struct {
	// Addresses are where the application master may be, host:port.
	Addresses []string
	// Locate finds out where it is now. It is asked when no known address is the
	// application master's.
	Locate func(ctx context.Context) ([]string, error)
	// CallTimeout bounds a call that is answered at once, repetitions included;
	// 0 is 20 s. An earlier end of the call's context counts.
	CallTimeout time.Duration
	Log         *slog.Logger // nil discards
}

func (o Options) withDefaults() Options {
	if o.CallTimeout == 0 {
		o.CallTimeout = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Client talks to an application master. It is safe for concurrent use.
type Client struct {
	opt     Options
	id      *identity.Identity
	conn    *grpc.ClientConn
	route   *route
	session ampb.SessionClient
	control ampb.ControlClient
	members ampb.MembersClient
}

// Dial makes a client. It connects when the first call needs it, so that errors of
// the network are errors of calls.
func Dial(id *identity.Identity, o Options) (*Client, error) {
	o = o.withDefaults()
	cfg := id.Client(identity.AppMaster, "")
	cfg.NextProtos = []string{"h2"}
	r := &route{tls: cfg, known: slices.Clone(o.Addresses), locate: o.Locate}
	conn, err := grpc.NewClient("passthrough:///application-master",
		grpc.WithTransportCredentials(shaken{}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.dial(ctx) }),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 4 * dialTime,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, &Error{Op: "prepare a connection", Text: err.Error(), code: codes.Internal}
	}
	return &Client{
		opt: o, id: id, conn: conn, route: r,
		session: ampb.NewSessionClient(conn), control: ampb.NewControlClient(conn), members: ampb.NewMembersClient(conn),
	}, nil
}

// Close ends the connection and all calls.
func (c *Client) Close() error { return c.conn.Close() }

// call makes a call that may be repeated until it is answered, refused, or its time
// is up.
func (c *Client) call(ctx context.Context, op string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || status.Code(err) != codes.Unavailable {
			return c.wrap(ctx, op, err)
		}
		if last := c.route.failure(); last != nil && isRefusal(last) {
			return c.wrap(ctx, op, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return c.wrap(ctx, op, err)
		}
	}
}

// Info tells how the application is.
func (c *Client) Info(ctx context.Context) (info *ampb.Info, err error) {
	err = c.call(ctx, "ask for the application's state", func(ctx context.Context) error {
		info, err = c.session.Info(ctx, &ampb.InfoRequest{})
		return err
	})
	return info, err
}

// Watch yields the application's state, at once and after each change, until it
// has ended (the last state says so), the context ends, or the caller has enough.
// A lost connection yields an error; who goes on is connected again.
func (c *Client) Watch(ctx context.Context) iter.Seq2[*ampb.Info, error] {
	return func(yield func(*ampb.Info, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 2*time.Second) {
			stream, err := c.session.Watch(ctx, &ampb.WatchRequest{})
			for err == nil {
				var info *ampb.Info
				if info, err = stream.Recv(); err != nil {
					break
				}
				pause = 100 * time.Millisecond
				if !yield(info, nil) || info.State == ampb.State_ENDED {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				err = status.Error(codes.Unavailable, "the application master ended the conversation")
			}
			if !yield(nil, c.wrap(ctx, "watch the application", err)) {
				return
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
}

// Scale sets how many containers a pool shall have; pool "" is the only pool of
// workers.
func (c *Client) Scale(ctx context.Context, pool string, n int) (reply *ampb.ScaleReply, err error) {
	err = c.call(ctx, "scale the application", func(ctx context.Context) error {
		reply, err = c.session.Scale(ctx, &ampb.ScaleRequest{Pool: pool, To: &ampb.ScaleRequest_Count{Count: int32(n)}})
		return err
	})
	return reply, err
}

// Adapt has a pool scale by itself between two numbers; pool "" is the only pool of
// workers. Scale ends that.
func (c *Client) Adapt(ctx context.Context, pool string, limits *ampb.Limits) (reply *ampb.AdaptReply, err error) {
	err = c.call(ctx, "have the application scale by itself", func(ctx context.Context) error {
		reply, err = c.session.Adapt(ctx, &ampb.AdaptRequest{Pool: pool, Limits: limits})
		return err
	})
	return reply, err
}

// ScaleBy changes how many containers a pool shall have. It is not repeated once
// it was sent: doing it twice would do too much.
func (c *Client) ScaleBy(ctx context.Context, pool string, delta int) (*ampb.ScaleReply, error) {
	if _, err := c.Info(ctx); err != nil { // so that it is known to be connected
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	reply, err := c.session.Scale(ctx, &ampb.ScaleRequest{Pool: pool, To: &ampb.ScaleRequest_Delta{Delta: int32(delta)}})
	return reply, c.wrap(ctx, "scale the application", err)
}

// Stop ends the application with a final status (SUCCEEDED, FAILED or KILLED; "" is
// SUCCEEDED). It returns when the end has begun; Watch shows when it is over. Quick
// does not wait for the scheduler.
func (c *Client) Stop(ctx context.Context, final, diagnostics string, quick bool) error {
	return c.call(ctx, "stop the application", func(ctx context.Context) error {
		_, err := c.session.Stop(ctx, &ampb.StopRequest{Status: final, Diagnostics: diagnostics, Quick: quick})
		return err
	})
}

// Kill ends one container, which is replaced.
func (c *Client) Kill(ctx context.Context, container string) error {
	return c.call(ctx, "kill container "+container, func(ctx context.Context) error {
		_, err := c.session.Kill(ctx, &ampb.KillRequest{Container: container})
		return err
	})
}

// Retire has workers drained, then given back. Unless they are replaced their pools
// want so many fewer; it is not repeated once it was sent, for the same reason.
func (c *Client) Retire(ctx context.Context, containers []string, replace bool) (*ampb.RetireReply, error) {
	if _, err := c.Info(ctx); err != nil { // so that it is known to be connected
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	reply, err := c.session.Retire(ctx, &ampb.RetireRequest{Containers: containers, Replace: replace})
	return reply, c.wrap(ctx, "retire workers", err)
}

// Events tells what happened after the event of a number, as far as it is
// remembered.
func (c *Client) Events(ctx context.Context, since uint64) (reply *ampb.EventsReply, err error) {
	err = c.call(ctx, "ask for events", func(ctx context.Context) error {
		reply, err = c.session.Events(ctx, &ampb.EventsRequest{Since: since})
		return err
	})
	return reply, err
}

// Logs yields pieces of a container's log file, in order. It ends at the file's
// present end.
func (c *Client) Logs(ctx context.Context, req *ampb.LogsRequest) iter.Seq2[*ampb.LogChunk, error] {
	return func(yield func(*ampb.LogChunk, error) bool) {
		if _, err := c.Info(ctx); err != nil { // connects, with patience
			yield(nil, err)
			return
		}
		c.ReadLog(ctx, req)(yield)
	}
}

// ReadLog is Logs for one who asks again and again: it does not wait for a connection
// when there is none.
func (c *Client) ReadLog(ctx context.Context, req *ampb.LogsRequest) iter.Seq2[*ampb.LogChunk, error] {
	return func(yield func(*ampb.LogChunk, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		op := "read the log of container " + req.Container
		stream, err := c.session.Logs(ctx, req)
		for err == nil {
			var chunk *ampb.LogChunk
			if chunk, err = stream.Recv(); err == nil && !yield(chunk, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, c.wrap(ctx, op, err))
		}
	}
}

// WaitScheduler waits until there is a scheduler and tells a client where.
func (c *Client) WaitScheduler(ctx context.Context) (*ampb.Endpoint, error) {
	for info, err := range c.Watch(ctx) {
		var e *Error
		switch {
		case errors.As(err, &e) && !e.Unreachable():
			return nil, err
		case err != nil:
			c.opt.Log.Debug("waiting for the application master", "err", err)
		case info.State == ampb.State_ENDED || info.State == ampb.State_STOPPING:
			return nil, &Error{Op: "find the scheduler", Text: "the application is ending: " + info.Why, code: codes.FailedPrecondition}
		case info.Scheduler != nil:
			return info.Scheduler, nil
		}
	}
	return nil, c.wrap(ctx, "find the scheduler", status.FromContextError(ctx.Err()).Err())
}

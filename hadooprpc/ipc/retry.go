package ipc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// verdict is what to do after an attempt.
type verdict uint8

const (
	giveUp    verdict = iota // the outcome is final
	elsewhere                // this server will not do: try the next one
	again                    // this server asks to repeat
)

// judge decides what follows from the outcome of an attempt. A call that a server may have executed is repeated only
// when that does no harm.
//
// Source: RetryPolicies.FailoverOnNetworkExceptionRetry and RMProxy.createRetryPolicy (3.4.2); stricter than the
// latter, which repeats even methods that are not idempotent after a broken connection.
func judge(err error, m Method) verdict {
	var (
		remote  *RemoteError
		ce      *ConnError
		refusal *sasl.Error
		limit   *wire.LimitError
	)
	switch {
	case IsStandby(err): // also when it refused to authenticate us
		return elsewhere
	case IsRetriable(err):
		return again
	case sasl.Passing(err): // nothing was called
		return elsewhere
	case errors.As(err, &remote), errors.As(err, &refusal):
		return giveUp
	case errors.As(err, &limit): // not Hadoop RPC at all, or a response that will not shrink
		return giveUp
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return giveUp
	case errors.As(err, &ce) && (!ce.Sent || m.Idempotent):
		return elsewhere
	}
	return giveUp
}

// pace computes the pauses between attempts. A round is one try of every address; within the first round there is no
// pause between addresses, for it is quick to learn which one is active.
type pace struct {
	base, max time.Duration
	addrs     int
	jitter    func() float64 // in [0, 1)
}

// pause is how long to wait after the given number of attempts (1 or more), the last of which ended in v.
func (p pace) pause(attempts int, v verdict) time.Duration {
	if v == elsewhere && attempts < p.addrs {
		return 0
	}
	round := attempts / p.addrs
	if v == again {
		round = attempts
	}
	d := p.max
	if shift := max(round-1, 0); shift < 32 && p.base<<shift > 0 {
		d = min(p.base<<shift, p.max)
	}
	return d/2 + time.Duration(p.jitter()*float64(d/2))
}

func newPace(o Options, addrs int) pace {
	return pace{base: o.BackoffBase, max: o.BackoffMax, addrs: addrs, jitter: rand.Float64}
}

package main

import (
	"context"
	"time"

	"github.com/yarnd/yarnd/engine/client"
)

// acks submits one task after the other, and times until the scheduler says that it has it:
// with a journal, that it is safe. Results come when they will.
func (s *submitter) acks(ctx context.Context) (*run, error) {
	r := &run{}
	n := s.d.w.source.len()
	began := time.Now()
	for i := range n {
		at := time.Now()
		if err := s.submit(ctx, i, true); err != nil {
			return nil, err
		}
		if err := s.job.Flush(ctx); err != nil {
			return nil, err
		}
		r.Latency = append(r.Latency, time.Since(at).Nanoseconds())
	}
	r.Wall = time.Since(began).Seconds()
	var total sum
	err := s.take(ctx, n, func(_ uint32, out *client.Outcome) error { return total.add(out.Inline) })
	r.Sum = total.v
	return r, err
}

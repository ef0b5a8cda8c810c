package server

import (
	"io"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
)

// source serves the scheduler's part of the data plane: inline results and bundles.
type source struct {
	loop    *loop
	bundles *bundleStore
}

// OpenResult returns an inline result.
func (s source) OpenResult(t graph.TaskID, a graph.Attempt) (transfer.Object, error) {
	answer := make(chan []byte, 1)
	if !s.loop.send(inlineQuery{task: t, attempt: a, answer: answer}) {
		return nil, transfer.ErrClosed
	}
	select {
	case b := <-answer:
		if b == nil {
			return nil, transfer.ErrNotFound
		}
		return transfer.Bytes(b), nil
	case <-s.loop.done:
		return nil, transfer.ErrClosed
	}
}

// OpenBundle returns a bundle.
func (s source) OpenBundle(d graph.Digest) (io.ReadCloser, int64, error) {
	if s.bundles == nil {
		return nil, 0, transfer.ErrNotFound
	}
	f, size, err := s.bundles.open(d)
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}

// inlineQuery asks for a copy of an inline result; nil is none.
type inlineQuery struct {
	task    graph.TaskID
	attempt graph.Attempt
	answer  chan<- []byte // capacity 1
}

func (in inlineQuery) origin() *wire.Conn { return nil }

func (in inlineQuery) handle(l *loop) {
	if j := l.jobs[in.task.Job]; j != nil {
		if b, ok := j.inline.get(in.task.Index, in.attempt); ok {
			in.answer <- append(make([]byte, 0, len(b)), b...)
			return
		}
	}
	in.answer <- nil
}

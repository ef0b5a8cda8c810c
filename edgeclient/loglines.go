package edgeclient

import (
	"bytes"
	"context"
	"io"
	"time"
)

// maxLogLine is where a line that does not end is cut.
const maxLogLine = 32 << 10

// give passes on what was read of a log: whole lines, and the rest when it has its end;
// of a log that is alone everything at once.
func (f *logFollower) give(s *logSource, data []byte) error {
	if f.alone {
		return f.pass(s, data)
	}
	for len(data) > 0 {
		end := bytes.LastIndexByte(data, '\n') + 1
		if end == 0 && len(s.rest)+len(data) < maxLogLine {
			s.rest = append(s.rest, data...)
			return nil
		}
		cut := end == 0
		if cut {
			end = min(len(data), max(maxLogLine-len(s.rest), 1))
		}
		piece := data[:end]
		if len(s.rest) > 0 || cut {
			piece = append(s.rest, piece...)
			s.rest = nil
		}
		if cut {
			piece = append(piece, '\n')
		}
		if err := f.pass(s, piece); err != nil {
			return err
		}
		data = data[end:]
	}
	return nil
}

// flush passes on a last line without an end.
func (f *logFollower) flush(s *logSource) error {
	if len(s.rest) == 0 {
		return nil
	}
	rest := append(s.rest, '\n')
	s.rest = nil
	return f.pass(s, rest)
}

func (f *logFollower) pass(s *logSource, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.yield(LogPiece{Container: s.id, Node: s.node, Name: s.name, Alone: f.alone, Data: data})
}

// remainTime is how long the logs of an application that has ended are waited for: each
// node collects its own.
const remainTime = 20 * time.Second

// remaining gives what was written after the application master could not be asked any
// more, from where the cluster collects logs.
func (f *logFollower) remaining(ctx context.Context) error {
	whole := map[*logSource]bool{}
	var lost error
	collect := func(file LogFile) error {
		s := f.collected(file)
		if s == nil || whole[s] {
			return nil
		}
		if lost = f.rest(s, file.Content); lost != nil {
			return lost
		}
		s.there, s.failed, f.found, whole[s] = true, nil, true, true
		return nil
	}
	var err error
	for end, pause := time.Now().Add(remainTime), 500*time.Millisecond; ; pause *= 2 {
		now, e := f.c.cluster.Report(ctx, f.s.App.ID)
		if err = e; err == nil {
			err = f.c.cluster.FinishedLogs(ctx, now, collect)
		}
		open := 0
		for _, s := range f.sources {
			if (s.there || s.told || s.failed != nil) && !whole[s] {
				open++
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case lost != nil:
			return lost
		case err == nil && open == 0, IsLocalID(f.s.App.ID), time.Now().Add(pause).After(end):
			if err != nil || open > 0 {
				f.c.opts.Progress("the last lines may be missing: not all logs were collected yet; see yarnd logs %s", f.s.App.ID)
			}
			return f.flushAll()
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

func (f *logFollower) flushAll() error {
	for _, s := range f.sources {
		if err := f.flush(s); err != nil {
			return err
		}
	}
	return nil
}

// collected returns the source of a collected log, a new one for a container that came
// and went unseen; nil for one that was not chosen.
func (f *logFollower) collected(file LogFile) *logSource {
	if s := f.byName[file.Container+"/"+file.Name]; s != nil || f.alone || !f.req.chooses(file) {
		return s
	}
	return f.source(place{file.Container, file.Node}, file.Name)
}

// rest gives what of a collected log was not given.
func (f *logFollower) rest(s *logSource, content io.Reader) error {
	if _, err := io.CopyN(io.Discard, content, s.offset); err != nil {
		return nil // it is shorter than what was seen of it: nothing is new
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := content.Read(buf)
		s.offset += int64(n)
		if lost := f.give(s, buf[:n]); lost != nil {
			return lost
		}
		if err != nil {
			return f.flush(s)
		}
	}
}

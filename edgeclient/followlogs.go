package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
)

// LogPiece is a part of one log. Data is valid during the callback. Unless the log is
// followed alone, Data is whole lines: one that is longer than 32 KiB may be cut, and
// the last one of a log gets an end if it has none.
type LogPiece struct {
	Container string
	Node      string
	Name      string // stdout, stderr, …
	Alone     bool   // no other log is followed
	Data      []byte
}

// FollowLogs gives the logs of a running application from their beginning on, as they
// grow, until it has ended and all is given: those of every container and file that req
// chooses, of containers that come later too. If req names containers, their end is the
// end. The pieces of one log come in their order. An error of yield ends it.
//
// However many logs there are, a few of them are read at a time, over one connection;
// those in which nothing happens are looked at less often, every few seconds.
func (c *Client) FollowLogs(ctx context.Context, r Report, req LogRequest, yield func(LogPiece) error) error {
	s, err := c.Connect(ctx, r)
	if err != nil {
		return err
	}
	defer s.Close()
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	f := &logFollower{c: c, s: s, req: req, yield: yield, byName: map[string]*logSource{}}
	f.files = []string{"stdout", "stderr"}
	if req.File != "" {
		f.files = []string{req.File}
	}
	f.see(info)
	if len(f.sources) == 0 {
		return noContainer(r, req)
	}
	f.alone = len(f.sources) == 1 && req.Container != ""
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := f.run(ctx, cancel); err != nil {
		return err
	}
	if f.over {
		if err := f.remaining(ctx); err != nil {
			return err
		}
	}
	for _, s := range f.sources {
		if s.failed != nil {
			return s.failed
		}
	}
	if !f.found {
		return noContainer(r, req)
	}
	return nil
}

const (
	logReaders  = 8 // logs that are read at a time
	logReadTime = 30 * time.Second
	// lastReadTime is for the last look, when the application master may be gone.
	lastReadTime = 2 * time.Second
	logPause     = 250 * time.Millisecond // after which a log is looked at again, at first
	maxLogPause  = 3 * time.Second
	// A log that cannot be read is told of when that has lasted for tellLogTime, and given up when its container has ended and it has
	// lasted for giveUpLogTime: a NodeManager may be starting again.
	tellLogTime   = 10 * time.Second
	giveUpLogTime = time.Minute
)

// logFollower follows logs. One loop, run, owns it; readers have a source for a while.
type logFollower struct {
	c       *Client
	s       *Session
	req     LogRequest
	files   []string
	alone   bool
	sources []*logSource
	byName  map[string]*logSource
	found   bool // there was a log
	over    bool // the application has ended

	mu    sync.Mutex // of yield: readers write whole lines
	yield func(LogPiece) error
}

// logSource is one log.
type logSource struct {
	place
	name   string
	offset int64  // of what was not read yet; the reader's while busy
	rest   []byte // of a line without its end; the reader's while busy

	there bool // there is such a log
	gone  bool // its container has ended, and writes no more
	done  bool // it was read to its end
	busy  bool
	told  bool // that it cannot be read

	failed error     // why it was not read to its end, where it was asked for; nil otherwise
	since  time.Time // when reading it began to fail; zero while it does not
	next   time.Time
	pause  time.Duration
}

// logRead is what came of reading a source.
type logRead struct {
	s     *logSource
	final bool  // nothing was written any more when it began
	n     int   // bytes
	err   error // of reading
	lost  error // of the receiver
}

// see takes in which containers there are.
func (f *logFollower) see(info *ampb.Info) {
	lives := map[string]bool{info.GetContainer(): true}
	for _, c := range info.GetContainers() {
		lives[c.GetId()] = true
	}
	for _, p := range places(info) {
		if f.alone || !strings.HasSuffix(p.id, f.req.Container) {
			continue
		}
		for _, name := range f.files {
			f.source(p, name)
		}
	}
	for _, s := range f.sources {
		if !lives[s.id] && !s.gone {
			s.gone, s.next, s.since = true, time.Time{}, time.Time{}
		}
	}
}

// source returns the source of a log, a new one if need be.
func (f *logFollower) source(p place, name string) *logSource {
	key := p.id + "/" + name
	s := f.byName[key]
	if s == nil {
		s = &logSource{place: p, name: name, pause: logPause}
		f.byName[key], f.sources = s, append(f.sources, s)
	}
	return s
}

// run reads what there is until the application has ended.
func (f *logFollower) run(ctx context.Context, cancel context.CancelCauseFunc) error {
	infos, ended := make(chan *ampb.Info), make(chan error, 1)
	watched, unwatch := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { ended <- f.watch(watched, infos) })
	defer watching.Wait()
	defer unwatch()
	read := make(chan logRead)
	busy := 0
	for {
		wait := maxLogPause
		for busy < logReaders && ctx.Err() == nil {
			var s *logSource
			if s, wait = f.due(); s == nil {
				break
			}
			s.busy, busy = true, busy+1
			final, limit := s.gone, logReadTime
			if f.over {
				limit = lastReadTime
			}
			go func() { read <- f.read(ctx, s, final, limit) }()
		}
		if busy == 0 && (ctx.Err() != nil || (f.over || f.req.Container != "") && f.allDone()) {
			return context.Cause(ctx)
		}
		timer := time.NewTimer(wait)
		select {
		case info := <-infos:
			f.see(info)
		case err := <-ended:
			if ended = nil; err != nil {
				cancel(err)
			}
			f.end()
		case r := <-read:
			busy--
			if err := f.took(r); err != nil {
				cancel(err)
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// due returns a source to be read now, or how long to wait for one.
func (f *logFollower) due() (*logSource, time.Duration) {
	var first *logSource
	for _, s := range f.sources {
		if !s.busy && !s.done && (first == nil || s.next.Before(first.next)) {
			first = s
		}
	}
	if first == nil {
		return nil, maxLogPause
	}
	if wait := time.Until(first.next); wait > 0 {
		return nil, wait
	}
	return first, 0
}

func (f *logFollower) allDone() bool {
	return !slices.ContainsFunc(f.sources, func(s *logSource) bool { return !s.done })
}

// end takes in that the application has ended: everything is read once more.
func (f *logFollower) end() {
	f.over = true
	for _, s := range f.sources {
		s.gone, s.next = true, time.Time{}
	}
}

// watch tells of containers, until the application has ended.
func (f *logFollower) watch(ctx context.Context, infos chan<- *ampb.Info) error {
	for info, err := range f.s.am.Watch(ctx) {
		if err != nil {
			if over, err := f.ended(ctx, err); over {
				return err
			}
			continue
		}
		select {
		case infos <- info:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if info.GetState() == ampb.State_ENDED {
			return nil
		}
	}
	return context.Cause(ctx)
}

// ended judges an error of the application master: over says that it will not answer
// any more, and that is no error when the application has ended.
func (f *logFollower) ended(ctx context.Context, err error) (over bool, _ error) {
	if ctx.Err() != nil {
		return true, context.Cause(ctx)
	}
	var e *amclient.Error
	if errors.As(err, &e) && !e.Unreachable() {
		return true, f.c.unlessEnded(ctx, f.s.App.ID, sessionFault("cannot watch "+f.s.App.ID, err))
	}
	now, err := f.c.cluster.Report(ctx, f.s.App.ID)
	return err == nil && now.State.Ended() || CodeOf(err) == NotFound, nil
}

// read reads what is new in a log.
func (f *logFollower) read(ctx context.Context, s *logSource, final bool, limit time.Duration) logRead {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := logRead{s: s, final: final}
	for chunk, err := range f.s.readLog(ctx, &ampb.LogsRequest{Container: s.id, File: s.name, Offset: s.offset}, f.s.am.ReadLog) {
		if err != nil {
			r.err = err
			return r
		}
		if r.lost = f.give(s, chunk.GetData()); r.lost != nil {
			return r
		}
		r.n += len(chunk.GetData())
		s.offset = chunk.GetOffset() + int64(len(chunk.GetData()))
	}
	return r
}

// tell says, once, that a log cannot be read: it is tried again, and given up some time after its container's end.
func (f *logFollower) tell(s *logSource, r logRead) {
	what := fmt.Sprintf("cannot read %s of %s", s.name, s.id)
	switch lasted := time.Since(s.since); {
	case r.final && lasted >= giveUpLogTime:
		s.done, s.told = true, true
		if f.req.Container != "" {
			s.failed = sessionFault(what, r.err)
			return
		}
		f.c.opts.Progress("%s to its end: %v", what, r.err)
	case !s.told && (lasted >= tellLogTime || CodeOf(r.err) == Auth):
		s.told = true
		f.c.opts.Progress("%s, and try again: %v", what, r.err)
	}
}

// took decides when a source that was read is read again.
func (f *logFollower) took(r logRead) error {
	s := r.s
	s.busy = false
	var e *amclient.Error
	errors.As(r.err, &e)
	missing := CodeOf(sessionFault("", r.err)) == NotFound
	if r.n > 0 || r.err == nil {
		s.there, f.found = true, true
		s.since = time.Time{}
	}
	switch {
	case r.lost != nil:
		return r.lost
	case r.err == nil:
		s.done, s.told = r.final, false
	case missing || f.over:
		s.done = r.final
	case e != nil && e.Unreachable(): // the watch tells when that matters
	case f.req.Container != "" && CodeOf(r.err) == Auth && !s.there: // there is nothing else to wait for
		s.done, s.failed = true, r.err
	default:
		if s.since.IsZero() {
			s.since = time.Now()
		}
		f.tell(s, r)
	}
	if s.pause = min(2*s.pause, maxLogPause); r.n > 0 {
		s.pause = logPause
	}
	s.next = time.Now().Add(s.pause)
	if s.gone && !r.final {
		s.next = time.Time{}
	}
	if s.done && !f.over {
		return f.flush(s)
	}
	return nil
}

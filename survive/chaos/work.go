package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
)

// work is a kind of it, done round after round. A round's result is compared with that of the first,
// which nothing disturbed; "" is compared with nothing.
type work struct {
	name string
	rest time.Duration // between two rounds
	do   func(*jobs, context.Context, int) (string, error)
}

var works = []work{
	{"numbers drawn", 500 * time.Millisecond, (*jobs).told},
	{"a sum", 20 * time.Second, (*jobs).graph},
	{"large results", time.Second, (*jobs).large},
	{"a shuffle", time.Second, (*jobs).shuffled},
	{"a word count", time.Second, (*jobs).counted},
	{"commands", time.Second, (*jobs).commands},
}

// roundPatience is how long a round may take when nothing hurts any more.
const roundPatience = 5 * time.Minute

// jobs is the work that goes on while faults are done.
type jobs struct {
	w        *world
	wg       sync.WaitGroup
	over     chan struct{} // closed: the present round is the last one, and has patience to end
	patience time.Duration
	why      func(context.Context) string // what the application says of work that does not end

	mu     sync.Mutex
	err    error
	rounds int
	tasks  int64 // acknowledged, of those that leave marks
}

// startWork does one round of each, undisturbed, and has them go on.
func (w *world) startWork(ctx context.Context) (*jobs, error) {
	j := &jobs{w: w, over: make(chan struct{}), patience: roundPatience, why: w.unfinished}
	first := make([]string, len(works))
	for i, kind := range works {
		var err error
		undisturbed, cancel := context.WithTimeout(ctx, roundPatience)
		first[i], err = kind.do(j, undisturbed, 0)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	for i, kind := range works {
		j.wg.Go(func() { j.goOn(ctx, kind, first[i]) })
	}
	return j, nil
}

func (j *jobs) goOn(ctx context.Context, kind work, first string) {
	for n := 1; ; n++ {
		got, err := j.round(ctx, kind, n)
		if err != nil {
			j.mu.Lock()
			j.err = errors.Join(j.err, fmt.Errorf("%s: %w", kind.name, err))
			j.mu.Unlock()
			return
		}
		if got != first {
			j.differs()
		}
		j.mu.Lock()
		j.rounds++
		j.mu.Unlock()
		select {
		case <-time.After(kind.rest):
		case <-j.over:
			return
		}
	}
}

// round does one, which has to end some time after the last fault: work that the application has forgotten is lost.
func (j *jobs) round(ctx context.Context, kind work, n int) (string, error) {
	round, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-j.over:
		case <-ended:
			return
		}
		select {
		case <-time.After(j.patience):
			giveUp(fmt.Errorf("it has not ended %v after the last fault: %s", j.patience, j.why(ctx)))
		case <-ended:
		}
	})
	got, err := kind.do(j, round, n)
	close(ended)
	wg.Wait()
	if err == nil || ctx.Err() != nil || round.Err() == nil {
		return got, err
	}
	j.w.wrong(func(r *row) { r.Lost++ })
	return "", context.Cause(round)
}

func (j *jobs) last() { close(j.over) }

func (j *jobs) wait() error {
	j.wg.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// count hands over what came of the work.
func (j *jobs) count(t *table) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t.Rounds += j.rounds
	t.Tasks += j.tasks
}

// acknowledged waits until all tasks of a batch are acknowledged, and counts them: those before have only been sent.
func (j *jobs) acknowledged(ctx context.Context, b interface {
	Submitted(context.Context) (int, error)
}) error {
	n, err := b.Submitted(ctx)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tasks += int64(n)
	return nil
}

// wrong puts something down to the fault that goes on, or was the last.
func (w *world) wrong(note func(*row)) {
	kind := w.present()
	w.mu.Lock()
	defer w.mu.Unlock()
	note(w.t.row(kind))
}

// lose counts that what was acknowledged has no result, unless the run was interrupted.
func (j *jobs) lose(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		j.w.wrong(func(r *row) { r.Lost++ })
	}
	return err
}

// differs counts that a result is not what it must be.
func (j *jobs) differs() { j.w.wrong(func(r *row) { r.Changed++ }) }

// inputs are n leaves.
func (j *jobs) inputs(n, micros int) func(func(leafIn) bool) {
	return inputs(j.w.marks.file, j.w.marks.take(n), n, micros)
}

// told has numbers drawn in a named job, reads them, and reads some once more by another
// client: they must be the same.
func (j *jobs) told(ctx context.Context, round int) (string, error) {
	const n = 500
	job, err := j.w.app.Job(ctx, fmt.Sprint("told-", round))
	if err != nil {
		return "", err
	}
	b := drawn.Map(ctx, j.w.app.Client, j.inputs(n, 20_000), engine.InJob(job))
	if err := j.acknowledged(ctx, b); err != nil {
		return "", err
	}
	first, err := b.Gather(ctx)
	if err != nil {
		return "", j.lose(ctx, err)
	}
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", job.Name(), i)
		if err := engine.Publish(ctx, j.w.app.Client, names[i], b.At(i*n/len(names))); err != nil {
			return "", err
		}
	}
	other, err := j.w.another(ctx)
	if err != nil {
		return "", err
	}
	defer other.Close()
	for i, name := range names {
		if err := j.toldAgain(ctx, other, name, first[i*n/len(names)]); err != nil {
			return "", err
		}
	}
	return "", job.Close(ctx)
}

// another is another client of the application. Who connects needs the ResourceManager and HDFS, and is told when
// they are away: it tries again, for as long as they may be.
func (w *world) another(ctx context.Context) (c *yarnd.Cluster, err error) {
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < patience; sleep(ctx, time.Second) {
		report, why := w.edge.Find(ctx, w.id)
		if why == nil {
			c, why = yarnd.Attach(ctx, w.edge, report, true)
		}
		if err = why; err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(err, ctx.Err())
}

// toldAgain reads a number that was told by its name.
func (j *jobs) toldAgain(ctx context.Context, other *yarnd.Cluster, name string, first uint64) error {
	f, err := engine.Lookup[uint64](ctx, other.Client, name)
	if err != nil {
		return j.lose(ctx, err)
	}
	v, err := f.Result(ctx)
	if err != nil {
		return j.lose(ctx, err)
	}
	if v != first {
		j.differs()
	}
	return other.Unpublish(ctx, name)
}

// graph adds up a large tree.
func (j *jobs) graph(ctx context.Context, _ int) (string, error) {
	n := j.w.o.tasks
	b := leaf.Map(ctx, j.w.app.Client, j.inputs(n, 0))
	if err := j.acknowledged(ctx, b); err != nil {
		return "", err
	}
	level, err := b.Refs(ctx)
	if err != nil {
		return "", err
	}
	defer b.Release()
	for {
		up := sum.Map(ctx, j.w.app.Client, slices.Chunk(level, 10))
		defer up.Release()
		if level, err = up.Refs(ctx); err != nil {
			return "", err
		}
		if len(level) > 1 {
			continue
		}
		got, err := up.At(0).Result(ctx)
		if err != nil {
			return "", j.lose(ctx, err)
		}
		return fmt.Sprint(got), nil
	}
}

// large has results that stay with workers, and reads them.
func (j *jobs) large(ctx context.Context, _ int) (string, error) {
	const n = 300
	b := fields.Map(ctx, j.w.app.Client, j.inputs(n, 10_000))
	if err := j.acknowledged(ctx, b); err != nil {
		return "", err
	}
	all, err := b.Gather(ctx)
	if err != nil {
		return "", j.lose(ctx, err)
	}
	for i, data := range all {
		if !bytes.Equal(data, fieldsOf(i)) {
			j.differs()
		}
	}
	b.Release()
	return "", nil
}

// shuffled counts the last digits of numbers by a shuffle.
func (j *jobs) shuffled(ctx context.Context, _ int) (string, error) {
	const maps = 40
	from := make([]int, maps)
	for i := range from {
		from[i] = i * 1000
	}
	run := digits.Run(ctx, j.w.app.Client, from, struct{}{}, shuffleParts)
	defer run.Release()
	parts, err := run.Results(ctx)
	if err != nil {
		return "", j.lose(ctx, err)
	}
	return text(parts), nil
}

// counted counts words by a shuffle.
func (j *jobs) counted(ctx context.Context, _ int) (string, error) {
	const maps = 20
	from := make([]int, maps)
	for i := range from {
		from[i] = i
	}
	run := words.Run(ctx, j.w.app.Client, from, struct{}{}, shuffleParts)
	defer run.Release()
	parts, err := run.Results(ctx)
	if err != nil {
		return "", j.lose(ctx, err)
	}
	return text(parts), nil
}

// text is the counts of all parts, as one text.
func text[K interface{ ~int64 | ~string }](parts []map[K]int64) string {
	all := map[K]int64{}
	for _, counts := range parts {
		for k, n := range counts {
			all[k] += n
		}
	}
	out := ""
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out += fmt.Sprint(k, " ", all[k], "\n")
	}
	return out
}

// commands run processes, whose output passes over the workers' disks.
func (j *jobs) commands(ctx context.Context, _ int) (string, error) {
	const n = 40
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprint(i)
	}
	b := engine.Command([]string{"sh", "-c", "seq {} 2000"}).Map(ctx, j.w.app.Client, slices.Values(items))
	if _, err := b.Submitted(ctx); err != nil {
		return "", err
	}
	all, err := b.Gather(ctx)
	if err != nil {
		return "", j.lose(ctx, err)
	}
	sum := sha256.New()
	for i, r := range all {
		fmt.Fprintf(sum, "%d: %d, %d bytes\n%s", i, r.Exit, len(r.Stdout), r.Stdout)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

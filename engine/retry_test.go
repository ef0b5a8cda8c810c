package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/engine/graph"
)

// textOf fails until there is a file.
var textOf = engine.Define("test.textof", func(_ context.Context, path string) (string, error) {
	text, err := os.ReadFile(path)
	return string(text), err
})

var join = engine.Define("test.join", func(_ context.Context, parts []engine.Ref[string]) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Value())
	}
	return b.String(), nil
})

// What failed runs again, and what failed because of it: for the one who asks, for one
// who has seen the failure elsewhere, and for one who waits.
func TestRetry(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)
		job, err := client.Job(ctx, "retried")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "late")
		must(t, os.WriteFile(filepath.Join(dir, "early"), []byte("early "), 0o600))
		early := textOf.Submit(ctx, client, filepath.Join(dir, "early"), engine.InJob(job), engine.Loose())
		late := textOf.Submit(ctx, client, file, engine.InJob(job), engine.Retries(1))
		both := join.Submit(ctx, client, []engine.Ref[string]{early.Ref(), late.Ref()}, engine.InJob(job), engine.Loose())
		all := join.Submit(ctx, client, []engine.Ref[string]{both.Ref(), late.Ref()}, engine.InJob(job))
		if e := wantTaskError(t, late, engine.FailUser); e.Attempt != 2 {
			t.Errorf("failed in attempt %d", e.Attempt)
		}
		e := wantTaskError(t, all, engine.FailUpstream)
		for _, part := range []string{"task " + late.ID().String() + " failed on host", ", and with it what depends on it: ", "no such file", " (to run it again: yarnd task retry last " + late.ID().String() + ")"} {
			if !strings.Contains(e.Error(), part) {
				t.Errorf("no %q in: %v", part, e)
			}
		}
		if n := strings.Count(e.Error(), late.ID().String()); n != 2 {
			t.Errorf("it is named %d times: %v", n, e)
		}

		other := c.Client()
		found, err := other.AttachJob(ctx, "retried")
		if err != nil {
			t.Fatal(err)
		}
		must(t, engine.Publish(ctx, client, "late", late))
		elsewhere := engine.JobFuture[string](found, all.ID().Index)
		if e := wantTaskError(t, elsewhere, engine.FailUpstream); !strings.Contains(e.Error(), `(published as "late"; to run it again`) {
			t.Errorf("no name in: %v", e)
		}

		must(t, late.Retry(ctx))
		if e := wantTaskError(t, late, engine.FailUser); e.Attempt != 4 {
			t.Errorf("the retry failed in attempt %d, not with all its attempts", e.Attempt)
		}
		must(t, os.WriteFile(file, []byte("late "), 0o600))
		must(t, all.Retry(ctx)) // with what it needs
		want(t, all, "early late late ")
		want(t, late, "late ")
		eventually(t, "the others hear of it", func() bool { return elsewhere.Status() == engine.Done })
		want(t, elsewhere, "early late late ")

		for _, f := range []*engine.Future[string]{late, all} {
			if err := f.Retry(ctx); !errors.Is(err, engine.ErrState) || !strings.Contains(err.Error(), "is done") {
				t.Errorf("retry of what is done: %v", err)
			}
		}
		if _, err := client.RetryTasks(ctx, graph.JobID(job.ID()), 99); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("retry of what does not exist: %v", err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Who holds a failed task, by itself or by a name, can have it tried again; nobody else.
func TestRetryNeedsAHold(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	client, ctx := c.Client(), deadline(t)
	job, err := client.Job(ctx, "held")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "late")
	named, free := textOf.Submit(ctx, client, file, engine.InJob(job)), textOf.Submit(ctx, client, file, engine.InJob(job))
	wantTaskError(t, named, engine.FailUser)
	wantTaskError(t, free, engine.FailUser)
	must(t, engine.Publish(ctx, client, "text", named))
	ids := []graph.TaskID{named.ID(), free.ID()}
	named.Release()
	free.Release()
	must(t, job.Flush(ctx))
	if _, err := client.RetryTasks(ctx, ids[1].Job, ids[1].Index); !errors.Is(err, engine.ErrState) || !strings.Contains(err.Error(), "nobody holds it") {
		t.Errorf("retry of what was let go of: %v", err)
	}
	r, err := client.RetryTasks(ctx, ids[0].Job)
	if err != nil || !slices.Equal(r.Tasks, ids[:1]) || r.Left != 1 {
		t.Errorf("retry of all: %+v, %v", r, err)
	}
	must(t, os.WriteFile(file+".part", []byte("now"), 0o600)) // it runs again by now: no half file
	must(t, os.Rename(file+".part", file))
	found, err := engine.Lookup[string](ctx, client, "text")
	must(t, err)
	if _, err := found.Result(ctx); err != nil { // it may have failed before the file was there
		must(t, found.Retry(ctx))
	}
	want(t, found, "now")
	events, _, err := client.Events(ctx, 0)
	if err != nil || !slices.ContainsFunc(events, func(e engine.Event) bool { return e.Kind == "task.retried" }) {
		t.Errorf("events %+v, %v", events, err)
	}
}

// A batch counts a task as ended once; its results are the newest.
func TestRetryInBatch(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	client, ctx := c.Client(), deadline(t)
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	must(t, os.WriteFile(paths[0], []byte("a"), 0o600))
	b := textOf.Map(ctx, client, slices.Values(paths))
	if _, err := b.Gather(ctx); err == nil {
		t.Fatal("b is not there")
	}
	must(t, os.WriteFile(paths[1], []byte("b"), 0o600))
	must(t, b.At(1).Retry(ctx))
	got, err := b.Gather(ctx)
	if err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v, %v", got, err)
	}
	n := 0
	for range b.InOrderOfEnding(ctx) {
		n++
	}
	if n != 2 {
		t.Errorf("%d tasks ended", n)
	}
}

package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// interactive starts a shell command that reads standard input.
func interactive(ctx context.Context, c *engine.Client, script string, args ...string) *engine.Future[engine.CommandResult] {
	return engine.Command(append([]string{"sh", "-c", script}, args...), engine.Interactive(), engine.Live(), engine.Literal()).Submit(ctx, c, "")
}

// feed feeds it, and returns what Feed returns.
func feed(ctx context.Context, f *engine.Future[engine.CommandResult], in io.Reader) <-chan error {
	fed := make(chan error, 1)
	go func() { fed <- engine.Feed(ctx, f, in) }()
	return fed
}

// seeing acts once, when what was written so far is text.
func seeing(text string, act func()) *onWrite {
	var once sync.Once
	return &onWrite{see: func(all string) {
		if all == text {
			once.Do(act)
		}
	}}
}

// random is n bytes that are the same each time.
func random(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

func TestFeed(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)

		// The second line is written when the first has come back.
		f := interactive(ctx, client, "cat")
		pr, pw := io.Pipe()
		fed := feed(ctx, f, pr)
		go pw.Write([]byte("first\n")) //nolint:errcheck // the end tells
		stdout := seeing("first\n", func() {
			go func() {
				pw.Write([]byte("second\n")) //nolint:errcheck // the end tells
				pw.Close()
			}()
		})
		r, err := engine.Follow(ctx, f, stdout, io.Discard, nil)
		if err != nil || r.Exit != 0 || stdout.String() != "first\nsecond\n" {
			t.Errorf("cat: %+v, %v: %q", r, err, stdout.String())
		}
		if err := <-fed; err != nil {
			t.Errorf("fed: %v", err)
		}

		// Much comes whole, and nothing comes as an end.
		const much = 40 << 20
		h := sha256.New()
		io.Copy(h, random(much)) //nolint:errcheck // it does not fail
		for what, in := range map[string]struct {
			io.Reader
			want string
		}{
			"much":    {random(much), fmt.Sprintf("%x  -\n", h.Sum(nil))},
			"nothing": {strings.NewReader(""), fmt.Sprintf("%x  -\n", sha256.Sum256(nil))},
		} {
			f = interactive(ctx, client, "sha256sum")
			fed = feed(ctx, f, in)
			var out bytes.Buffer
			if r, err := engine.Follow(ctx, f, &out, io.Discard, nil); err != nil || out.String() != in.want {
				t.Errorf("%s: %+v, %v: %q", what, r, err, out.String())
			}
			if err := <-fed; err != nil {
				t.Errorf("%s: fed: %v", what, err)
			}
		}

		// A command that ends early ends the reading, and one that closes its input goes
		// on. What was read ahead is little.
		for script, exit := range map[string]int{"head -c 10; exit 3": 3, "head -c 10; exec <&-; sleep 0.1; exit 4": 4} {
			in := &counter{r: random(1 << 40)}
			f = interactive(ctx, client, script)
			fed = feed(ctx, f, in)
			if r, err := f.Result(ctx); err != nil || r.Exit != exit || len(r.Stdout) != 10 {
				t.Errorf("%s: %+v, %v", script, r, err)
			}
			if err := <-fed; err != nil {
				t.Errorf("%s: fed: %v", script, err)
			}
			if n := in.n.Load(); n > 1<<20 {
				t.Errorf("%s: %d bytes were read", script, n)
			}
		}

		// An input that breaks is the feeder's error, and not the command's end.
		broken := errors.New("broken")
		f = interactive(ctx, client, "cat")
		if err := <-feed(ctx, f, io.MultiReader(strings.NewReader("x"), &counter{err: broken})); !errors.Is(err, broken) {
			t.Errorf("a broken input: %v", err)
		}
		if f.Status() != engine.Pending {
			t.Errorf("its command is %v", f.Status())
		}
		must(t, f.Cancel(ctx))
	})
}

// counter counts what is read.
type counter struct {
	r   io.Reader
	n   atomic.Int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestSignalCommand(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), deadline(t)
		f := interactive(ctx, client, "trap 'echo caught; exit 5' INT; echo up; while :; do sleep 0.05; done")
		stdout := seeing("up\n", func() { must(t, engine.Signal(ctx, f, syscall.SIGINT)) })
		if r, err := engine.Follow(ctx, f, stdout, io.Discard, nil); err != nil || r.Exit != 5 || stdout.String() != "up\ncaught\n" {
			t.Errorf("%+v, %v: %q", r, err, stdout.String())
		}
		if err := engine.Signal(ctx, f, syscall.SIGINT); !errors.Is(err, engine.ErrState) {
			t.Errorf("signal for what has ended: %v", err)
		}
	})
}

// A command that had some of its input does not get the rest elsewhere; one that had
// none begins again.
func TestFeedAndLostWorker(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Processes: true})
	client, ctx := c.Client(), deadline(t)
	began := filepath.Join(t.TempDir(), "began")
	count := func() int {
		text, _ := os.ReadFile(began)
		return len(text)
	}
	kill := func(n int) {
		c.AddWorker()
		must(t, client.WaitWorkers(ctx, 2))
		c.Workers()[n].Kill()
	}

	f := interactive(ctx, client, "printf . >>$0; cat", began)
	pr, pw := io.Pipe()
	fed := feed(ctx, f, pr)
	seen := make(chan struct{})
	stdout := seeing("half\n", func() { close(seen) })
	followed := make(chan error, 1)
	go func() {
		_, err := engine.Follow(ctx, f, stdout, io.Discard, nil)
		followed <- err
	}()
	pw.Write([]byte("half\n")) //nolint:errcheck // seen tells
	<-seen
	kill(0)
	te, ok := errors.AsType[*engine.TaskError](<-followed)
	if !ok || !strings.Contains(te.Message, "after 5 bytes of its standard input") || te.Attempt != 2 {
		t.Errorf("%+v", te)
	}
	if err := <-fed; err != nil {
		t.Errorf("fed: %v", err)
	}
	pw.Close()
	if count() != 1 {
		t.Errorf("it began %d times", count())
	}

	f = interactive(ctx, client, "printf . >>$0; cat", began)
	pr, pw = io.Pipe()
	fed = feed(ctx, f, pr)
	eventually(t, "it runs", func() bool { return count() == 2 })
	kill(1)
	eventually(t, "it runs again", func() bool { return count() == 3 })
	pw.Write([]byte("whole\n")) //nolint:errcheck // the result tells
	pw.Close()
	if r, err := f.Result(ctx); err != nil || string(r.Stdout) != "whole\n" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := <-fed; err != nil {
		t.Errorf("fed: %v", err)
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// A client is this program once more, with what it is to do in its environment. It writes a line
// for each step that the other side waits for.
const (
	clientVerb = "YARND_CHAOS_CLIENT"
	clientArgs = "YARND_CHAOS_ARGS"
	// clientTasks are those of a client's job; of so many each a result is published.
	clientTasks, published = 200, 20
)

// client is a client's process.
type client struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	end   context.CancelFunc
}

// clientPatience is how long a client may live: one that waits for what is lost would do so without end.
const clientPatience = 2 * patience

func (w *world) client(ctx context.Context, verb string, args ...string) (*client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithTimeout(ctx, clientPatience)
	c := &client{cmd: exec.CommandContext(ctx, self), end: end}
	c.cmd.Env = append(os.Environ(), clientVerb+"="+verb, clientArgs+"="+strings.Join(args, " "))
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.lines = bufio.NewScanner(out)
		err = c.cmd.Start()
	}
	if err != nil {
		end()
		return nil, err
	}
	return c, nil
}

// line is the next line that it writes.
func (c *client) line() (string, error) {
	if c.lines.Scan() {
		return c.lines.Text(), nil
	}
	return "", errors.Join(errors.New("a client ended early"), c.lines.Err(), c.wait())
}

// wait waits for its end.
func (c *client) wait() error {
	defer c.end()
	return c.cmd.Wait()
}

// kill kills it, and tells whether it was alive.
func (c *client) kill() bool {
	c.cmd.Process.Signal(syscall.SIGKILL) // one that has ended is seen below
	err := c.wait()
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// aside says that the application itself is not what is hurt: how soon it is whole again says nothing.
func (w *world) aside() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurtAt = time.Time{}
}

// clientInSubmit kills a client that submits, and runs the same once more: there is one application then.
func (w *world) clientInSubmit(ctx context.Context) error {
	w.aside()
	name := fmt.Sprint("submitted-", w.rnd.Uint32())
	c, err := w.client(ctx, "submit", name)
	if err != nil {
		return err
	}
	sleep(ctx, time.Duration(w.rnd.Int64N(int64(400*time.Millisecond))))
	hit := c.kill()
	again, err := w.client(ctx, "submit", name)
	if err != nil {
		return err
	}
	id, err := again.line()
	if err != nil {
		return err
	}
	if err := again.wait(); err != nil {
		return err
	}
	all, err := w.edge.List(ctx, edgeclient.Filter{})
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Name != name || r.State.Ended() {
			continue
		}
		if r.ID != id {
			w.wrong(func(r *row) { r.Changed++ })
		}
		if err := w.edge.Kill(ctx, r, "the chaos has seen it"); err != nil {
			return err
		}
		left, err := w.remains(ctx, r.ID)
		if err != nil {
			return err
		}
		w.t.row(w.present()).Left += left.sum()
	}
	if !hit {
		return errMissed
	}
	w.hit(1)
	return nil
}

// gathering starts a client that submits, and gathers.
func (w *world) gathering(ctx context.Context) (c *client, name string, err error) {
	name = fmt.Sprint("client-", w.rnd.Uint64())
	c, err = w.client(ctx, "gather", w.id, name, w.marks.file, fmt.Sprint(w.marks.take(clientTasks)))
	return c, name, err
}

// submitted waits until a client has submitted.
func (w *world) submitted(c *client) error {
	_, err := c.line()
	if err == nil {
		w.mu.Lock()
		w.t.Tasks += clientTasks
		w.mu.Unlock()
	}
	return err
}

// gathers waits for what a client has gathered.
func (w *world) gathers(c *client) error {
	got, err := c.line()
	if err != nil {
		w.wrong(func(r *row) { r.Lost++ })
		return err
	}
	want := uint64(0)
	for i := range clientTasks {
		want += valueOf(i)
	}
	if got != fmt.Sprint(want) {
		w.wrong(func(r *row) { r.Changed++ })
	}
	return c.wait()
}

// inherit reads what a client has published that was killed, and closes its job.
func (w *world) inherit(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	for i := 0; i < clientTasks; i += published {
		f, err := engine.Lookup[uint64](ctx, w.app.Client, fmt.Sprint(name, "-", i))
		if err == nil {
			var v uint64
			if v, err = f.Result(ctx); err == nil && v != valueOf(i) {
				w.wrong(func(r *row) { r.Changed++ })
			}
		}
		if err == nil {
			err = w.app.Unpublish(ctx, fmt.Sprint(name, "-", i))
		}
		if err != nil {
			w.wrong(func(r *row) { r.Lost++ })
			return fmt.Errorf("what a client left: %w", err)
		}
	}
	job, err := w.app.AttachJob(ctx, name)
	if err != nil {
		return err
	}
	return job.Close(ctx)
}

// clientInGather kills a client that gathers; its job goes on, and another one reads what it published.
func (w *world) clientInGather(ctx context.Context) error {
	w.aside()
	c, name, err := w.gathering(ctx)
	if err == nil {
		err = w.submitted(c)
	}
	if err != nil {
		return err
	}
	sleep(ctx, time.Duration(w.rnd.Int64N(int64(500*time.Millisecond))))
	hit := c.kill()
	if err := w.inherit(ctx, name); err != nil {
		return err
	}
	if !hit {
		return errMissed
	}
	w.hit(1)
	return nil
}

// twoClients has two work at once, and kills one, of which the other sees nothing.
func (w *world) twoClients(ctx context.Context) error {
	w.aside()
	a, name, err := w.gathering(ctx)
	if err != nil {
		return err
	}
	b, other, err := w.gathering(ctx)
	if err == nil {
		err = w.submitted(a)
	}
	hit := a.kill()
	if err == nil {
		err = w.submitted(b)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(w.gathers(b), w.inherit(ctx, name), w.inherit(ctx, other)); err != nil {
		return err
	}
	if !hit {
		return errMissed
	}
	w.hit(1)
	return nil
}

// clientComesBack stops a client while it gathers, for longer than the scheduler waits for it at times: it
// resumes its session and gets its results.
func (w *world) clientComesBack(ctx context.Context) error {
	w.aside()
	c, name, err := w.gathering(ctx)
	if err == nil {
		err = w.submitted(c)
	}
	if err != nil {
		return err
	}
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		c.kill()
		return errors.Join(errMissed, w.inherit(ctx, name))
	}
	sleep(ctx, w.pause(time.Second, 5*time.Second, 50*time.Second))
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := errors.Join(w.gathers(c), w.inherit(ctx, name)); err != nil {
		return err
	}
	w.hit(1)
	return nil
}

// clientMain is a client's process.
func clientMain(ctx context.Context, verb string) int {
	args := strings.Fields(os.Getenv(clientArgs))
	edge, err := edgeclient.Open(ctx, edgeclient.Options{Provider: "yarn"})
	if err == nil {
		defer edge.Close()
		if verb == "submit" {
			err = clientSubmits(ctx, edge, args[0])
		} else {
			err = clientGathers(ctx, edge, args)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "a client that was to %s: %v\n", verb, err)
		return 1
	}
	return 0
}

func clientSubmits(ctx context.Context, edge *edgeclient.Client, name string) error {
	r := smallRequest(name, 0)
	r.IfNotExists, r.Wait = true, edgeclient.WaitAccepted
	report, err := edge.Submit(ctx, r)
	if err == nil {
		fmt.Println(report.ID)
	}
	return err
}

func clientGathers(ctx context.Context, edge *edgeclient.Client, args []string) error {
	app, name, file := args[0], args[1], args[2]
	first, err := strconv.ParseUint(args[3], 10, 64)
	if err != nil {
		return err
	}
	report, err := edge.Find(ctx, app)
	if err != nil {
		return err
	}
	c, err := yarnd.Attach(ctx, edge, report, true)
	if err != nil {
		return err
	}
	defer c.Close()
	job, err := c.Job(ctx, name)
	if err != nil {
		return err
	}
	b := leaf.Map(ctx, c.Client, inputs(file, first, clientTasks, 20_000), engine.InJob(job))
	if _, err := b.Submitted(ctx); err != nil {
		return err
	}
	for i := 0; i < clientTasks; i += published {
		if err := engine.Publish(ctx, c.Client, fmt.Sprint(name, "-", i), b.At(i)); err != nil {
			return err
		}
	}
	fmt.Println("submitted")
	all, err := b.Gather(ctx)
	if err != nil {
		return err
	}
	sum := uint64(0)
	for _, v := range all {
		sum += v
	}
	fmt.Println(sum)
	return nil
}

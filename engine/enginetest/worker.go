package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/worker"
	"github.com/yarnd/yarnd/identity"
)

// stopTimeout is how long a worker process may take to end by itself.
const stopTimeout = 20 * time.Second

// Worker is one of a cluster's workers.
type Worker struct {
	Name string // its container
	Host string
	PID  int // of its process; 0 when it is in this one

	cluster *Cluster
	dir     string
	stop    func()        // asks it to end; may be called many times
	kill    func()        // SIGKILL
	ended   chan struct{} // closed when it has
}

// Stop ends the worker in order and waits for it.
func (w *Worker) Stop() {
	w.stop()
	<-w.ended
}

// Kill ends the worker's process by SIGKILL and waits for that. It needs
// Options.Processes.
func (w *Worker) Kill() {
	w.cluster.t.Helper()
	if w.kill == nil {
		w.cluster.t.Fatal("enginetest: only a worker that is a process can be killed")
	}
	w.kill()
	<-w.ended
}

// Output returns what a worker process has written to standard output and error.
func (w *Worker) Output() string {
	text, err := os.ReadFile(w.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (w *Worker) logFile() string { return filepath.Join(w.dir, "output") }

// startHere runs the worker in this process.
func (w *Worker) startHere() {
	c := w.cluster
	ctx, cancel := context.WithCancel(context.Background())
	w.ended = make(chan struct{})
	w.stop = cancel
	o := w.options()
	o.Identity, o.Scheduler, o.Log = c.Identity(identity.Worker, w.Name), c.Endpoint, c.opts.Log
	o.Funcs, o.Inside = engine.Funcs(), true
	o.Named, o.TaskMemory = c.opts.Named, c.opts.TaskMemory
	go func() {
		defer close(w.ended)
		if err := worker.Run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
			c.t.Errorf("worker %s: %v", w.Name, err)
		}
	}()
	c.t.Cleanup(w.Stop)
}

func (w *Worker) options() worker.Options {
	return workerOptions(w.Host, w.cluster.opts.Slots, w.dir)
}

func workerOptions(host string, slots int, dir string) worker.Options {
	return worker.Options{
		Host: host, Slots: slots, Memory: 256 << 20, Dir: dir, WorkDir: dir, Listen: "127.0.0.1:0",
		Stdout: os.Stderr, LoadEvery: 50 * time.Millisecond,
	}
}

// envWorker names the file that tells a test binary which worker it is.
const envWorker = "ENGINETEST_WORKER"

// launch is the content of that file.
type launch struct {
	Identity  []byte // PEM
	Scheduler string
	Host      string
	Slots     int
	Dir       string
}

// startProcess runs the worker as this test binary, started again.
func (w *Worker) startProcess() {
	c := w.cluster
	c.t.Helper()
	pem, err := c.Identity(identity.Worker, w.Name).PEM()
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := json.Marshal(launch{pem, c.Addr(), w.Host, c.opts.Slots, w.dir})
	if err != nil {
		c.t.Fatal(err)
	}
	file := filepath.Join(w.dir, "launch.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := os.Create(w.logFile())
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envWorker+"="+file)
	cmd.Stdout, cmd.Stderr = out, out
	life, err := cmd.StdinPipe() // its end ends the worker, also when we are killed
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	w.PID = cmd.Process.Pid
	w.stop = sync.OnceFunc(func() { life.Close() })
	w.kill = func() { _ = cmd.Process.Kill() } // it may have ended
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		_ = cmd.Wait() // a killed one is an error
	}()
	c.t.Cleanup(func() {
		w.stop()
		select {
		case <-w.ended:
		case <-time.After(stopTimeout):
			w.kill()
			<-w.ended
			c.t.Errorf("worker %s does not end", w.Name)
		}
		if c.t.Failed() {
			c.t.Logf("output of worker %s:\n%s", w.Name, bytes.TrimSpace([]byte(w.Output())))
		}
	})
}

// runWorker is the life of a worker process. It returns the exit code.
func runWorker(file string) int {
	fail := func(err error) int {
		_, _ = io.WriteString(os.Stderr, "enginetest worker: "+err.Error()+"\n")
		return 1
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fail(err)
	}
	var l launch
	if err := json.Unmarshal(text, &l); err != nil {
		return fail(err)
	}
	id, err := identity.ParsePEM(l.Identity)
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets go
		cancel()
	}()
	o := workerOptions(l.Host, l.Slots, l.Dir)
	o.Identity, o.Funcs, o.Adopt, o.Log = id, engine.Builtins(), true, stderrLog()
	o.Scheduler = func(context.Context) (string, uint64, error) { return l.Scheduler, 1, nil }
	err = worker.Run(ctx, o)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fail(err)
	}
	return 0
}

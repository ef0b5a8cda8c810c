package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// stopTime is how long a process may take to end by itself.
const stopTime = 20 * time.Second

// shownOutput is how much of what a process wrote is shown when it fails.
const shownOutput = 4 << 10

// child is a process that this one started as a role.
type child struct {
	role, name string
	pid        int
	ready      note
	log        string // file with its standard error
	stdin      io.WriteCloser
	notes      chan note     // closed at the end of its standard output
	ended      chan struct{} // closed when it has
	err        error         // how; valid then
	kill       func()
	stopping   sync.Once
}

// start starts this program as a role and waits until that is ready.
func start(ctx context.Context, dir, profiles string, l *launch) (*child, error) {
	file := filepath.Join(dir, l.Name+".json")
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{role: l.Role, name: l.Name, log: filepath.Join(dir, l.Name+".log"), notes: make(chan note), ended: make(chan struct{})}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envRole+"="+file)
	if profiles != "" {
		cmd.Env = append(cmd.Env, envProfile+"="+profiles)
	}
	cmd.Stderr = log
	if c.stdin, err = cmd.StdinPipe(); err != nil { // its end ends the process, also when we are killed
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.pid, c.kill = cmd.Process.Pid, func() { _ = cmd.Process.Kill() } // it may have ended
	go c.watch(cmd, out)
	if c.ready, err = c.answer(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the %s: %w", l.Role, err), c.stop())
	}
	return c, nil
}

// watch reads what the process says until it ends.
func (c *child) watch(cmd *exec.Cmd, out io.Reader) {
	defer close(c.ended)
	dec := json.NewDecoder(out)
	for {
		var n note
		if err := dec.Decode(&n); err != nil {
			break
		}
		c.notes <- n
	}
	close(c.notes)
	_, _ = io.Copy(io.Discard, out) // a line that is no note must not block it
	c.err = cmd.Wait()
}

// ask gives the process a command and returns its answer.
func (c *child) ask(ctx context.Context, command string) (note, error) {
	if _, err := io.WriteString(c.stdin, command+"\n"); err != nil {
		return note{}, c.died(err)
	}
	return c.answer(ctx)
}

func (c *child) answer(ctx context.Context) (note, error) {
	select {
	case n, ok := <-c.notes:
		if !ok {
			<-c.ended
			return n, c.died(c.err)
		}
		if n.Err != "" {
			return n, fmt.Errorf("%s: %s", c.name, n.Err)
		}
		return n, nil
	case <-ctx.Done():
		return note{}, context.Cause(ctx)
	}
}

// died is the error of a process that ended too early, with the last of what it wrote.
func (c *child) died(err error) error {
	if err == nil {
		err = errors.New("it ended")
	}
	return fmt.Errorf("%s: %w%s", c.name, err, c.output())
}

// output returns the end of what the process wrote to standard error.
func (c *child) output() string {
	text, err := os.ReadFile(c.log)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return ""
	}
	text = bytes.TrimSpace(text)
	return "; it wrote:\n" + string(text[max(0, len(text)-shownOutput):])
}

// stop ends the process in order, or, if it does not, by force. It may be called many
// times.
func (c *child) stop() error {
	c.stopping.Do(func() {
		c.stdin.Close()
		t := time.AfterFunc(stopTime, c.kill)
		defer t.Stop()
		for range c.notes { // an answer that nobody waited for
		}
	})
	<-c.ended
	if c.err != nil {
		return c.died(c.err)
	}
	return nil
}

// stopAll ends processes, in order of groups and those of a group together.
func stopAll(groups ...[]*child) error {
	var errs []error
	for _, group := range groups {
		failed := make([]error, len(group))
		var wg sync.WaitGroup
		for i, c := range group {
			wg.Go(func() { failed[i] = c.stop() })
		}
		wg.Wait()
		errs = append(errs, failed...)
	}
	return errors.Join(errs...)
}

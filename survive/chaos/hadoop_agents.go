package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/yarnd/yarnd/dockertest/cluster"
)

// agentFile is this program on a node.
const agentFile = "/tmp/chaos-agent"

// agent is this program on a node, told what to do over a pipe.
type agent struct {
	node string
	end  context.CancelFunc
	in   *io.PipeWriter

	mu     sync.Mutex
	n      int
	waits  map[int]chan answer
	failed error // it hears nobody any more
	done   chan struct{}
}

func startAgent(c *cluster.Cluster, node string) (*agent, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := os.Open(self)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	ctx, cancel := context.WithCancel(context.Background())
	copyIn := cluster.Command{Host: node, Stdin: program, Argv: []string{"sh", "-c", "rm -f " + agentFile + "; cat > " + agentFile + " && chmod 755 " + agentFile}}
	if code, err := c.Exec(ctx, copyIn); err != nil || code != 0 {
		cancel()
		return nil, fmt.Errorf("put an agent on %s: exit code %d: %w", node, code, err)
	}
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	a := &agent{node: node, end: cancel, in: orders, waits: map[int]chan answer{}, done: make(chan struct{})}
	go func() {
		code, err := c.Exec(ctx, cluster.Command{Host: node, Env: []string{agentVar + "=1"}, Argv: []string{agentFile}, Stdin: in, Stdout: out, Stderr: os.Stderr})
		out.CloseWithError(errors.Join(fmt.Errorf("the agent on %s ended with exit code %d", node, code), err))
		in.Close()
	}()
	go a.read(answers)
	return a, nil
}

// read hands answers to who waits for them.
func (a *agent) read(from io.Reader) {
	defer close(a.done)
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var got answer
		if json.Unmarshal(lines.Bytes(), &got) != nil {
			continue
		}
		a.mu.Lock()
		if wait := a.waits[got.N]; wait != nil {
			delete(a.waits, got.N)
			wait <- got
		}
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = errors.Join(fmt.Errorf("the agent on %s is gone", a.node), lines.Err())
	for _, wait := range a.waits {
		close(wait)
	}
	clear(a.waits)
}

// ask gives an order and waits for the answer; when ctx ends first, the order is taken back.
func (a *agent) ask(ctx context.Context, o order) (answer, error) {
	wait := make(chan answer, 1)
	a.mu.Lock()
	if a.failed != nil {
		a.mu.Unlock()
		return answer{}, a.failed
	}
	a.n++
	o.N = a.n
	a.waits[o.N] = wait
	err := a.send(o)
	a.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	select {
	case got, ok := <-wait:
		if !ok {
			return answer{}, a.failed
		}
		if got.Err != "" {
			return got, errors.New(got.Err)
		}
		return got, nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waits, o.N)
	a.n++
	return answer{}, errors.Join(ctx.Err(), a.send(order{N: a.n, Do: "forget", Forgets: o.N}))
}

// send writes an order, under mu. An agent reads all the time.
func (a *agent) send(o order) error {
	text, err := json.Marshal(o)
	if err == nil {
		_, err = a.in.Write(append(text, '\n'))
	}
	return err
}

// stop ends it.
func (a *agent) stop() {
	a.in.Close() //nolint:errcheck // a pipe of this process
	<-a.done
	a.end()
}

package enginetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/identity"
)

// envScheduler names the file that tells a test binary that it is the scheduler.
const envScheduler = "ENGINETEST_SCHEDULER"

// schedulerLaunch is the content of that file.
type schedulerLaunch struct {
	Identity       []byte // PEM
	Dir            string
	Lease, Session time.Duration
	Outbox         int
}

// startScheduler runs the scheduler as this test binary, started again.
func (c *Cluster) startScheduler() {
	c.t.Helper()
	pem, err := c.Identity(identity.Scheduler, "scheduler").PEM()
	if err != nil {
		c.t.Fatal(err)
	}
	dir, so := c.folder("scheduler"), c.opts.Server
	text, err := json.Marshal(schedulerLaunch{pem, dir, so.Lease, so.Session, so.Outbox})
	if err != nil {
		c.t.Fatal(err)
	}
	file, log := filepath.Join(dir, "launch.json"), filepath.Join(dir, "output")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	output, err := os.Create(log)
	if err != nil {
		c.t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envScheduler+"="+file)
	cmd.Stderr = output
	life, err := cmd.StdinPipe() // its end ends the scheduler, also when we are killed
	if err != nil {
		c.t.Fatal(err)
	}
	says, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.SchedulerPID = cmd.Process.Pid
	addr, err := bufio.NewReader(says).ReadString('\n')
	c.addr = strings.TrimSpace(addr)
	c.t.Cleanup(func() {
		life.Close()
		killer := time.AfterFunc(stopTimeout, func() { _ = cmd.Process.Kill() }) // it may have ended
		defer killer.Stop()
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("scheduler: %v", err)
		}
		if c.t.Failed() {
			text, err := os.ReadFile(log)
			c.t.Logf("output of the scheduler: %v\n%s", err, bytes.TrimSpace(text))
		}
	})
	if err != nil {
		c.t.Fatalf("the scheduler does not start: %v", err)
	}
}

// runScheduler is the life of a scheduler process. It returns the exit code.
func runScheduler(file string) int {
	if err := serve(file); err != nil {
		fmt.Fprintln(os.Stderr, "enginetest scheduler:", err)
		return 1
	}
	return 0
}

func serve(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var l schedulerLaunch
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	id, err := identity.ParsePEM(l.Identity)
	if err != nil {
		return err
	}
	srv, err := server.New(server.Options{
		Identity: id, Address: "127.0.0.1:0", Dir: l.Dir, Lease: l.Lease, Session: l.Session, Outbox: l.Outbox, Alone: true, Log: stderrLog(),
	})
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets go
		srv.Close()
	}()
	fmt.Println(srv.Addr())
	if err := srv.Serve(context.Background()); !errors.Is(err, server.ErrClosed) {
		return err
	}
	return nil
}

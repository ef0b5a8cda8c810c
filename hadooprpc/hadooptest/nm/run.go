package nm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// run takes a container from its localization to its end.
func (n *Node) run(c *container) {
	defer n.complete(c)
	f := n.faultsNow()
	if f.SlowStart != nil && !sleep(c.ctx, f.SlowStart(c.id)) {
		return
	}
	n.mu.Lock()
	launch := c.launch
	n.mu.Unlock()
	if !n.localizeAll(c, launch.GetLocalResources()) || !n.await(c) {
		return
	}
	for launch != nil {
		p, logDir, err := n.start(c, launch)
		if err != nil {
			n.startFailed(c, err)
			return
		}
		if p == nil {
			return // stopped meanwhile
		}
		code := p.Wait()
		launch = n.ended(c, launch, code, logDir)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// localizeAll localizes a container's files and tells whether to go on. One that fails ends the container, with no
// exit status but -1000, as seen of Hadoop.
func (n *Node) localizeAll(c *container, files []*pb.StringLocalResourceMap) bool {
	for _, f := range files {
		if err := n.localize(c, f); err != nil {
			n.mu.Lock()
			if !c.killed {
				c.say("%s\n%s\n", err.Error(), javaError(err))
			}
			n.mu.Unlock()
			return false
		}
	}
	return c.ctx.Err() == nil
}

// javaError prints an error as Java prints exceptions.
func javaError(err error) string {
	class := "java.io.IOException"
	if le := (*localizeError)(nil); errors.As(err, &le) {
		class = le.class
	}
	return class + ": " + err.Error()
}

// localize makes one file ready to be linked.
func (n *Node) localize(c *container, f *pb.StringLocalResourceMap) error {
	r, count := f.GetValue(), counters{}
	var path string
	var err error
	if bad := n.faultsNow().Localize; bad != nil {
		err = bad(c.id, r)
	}
	if err == nil {
		path, err = n.cache.get(c.ctx, n.cacheRoot(c, r.GetVisibility()), r, &count)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &localization{state: pb.LocalizationState_L_COMPLETED}
	c.localized[f.GetKey()] = l
	if err != nil {
		l.state, l.diag = pb.LocalizationState_L_FAILED, err.Error()
		return err
	}
	c.count.filesMissed, c.count.filesCached = c.count.filesMissed+count.filesMissed, c.count.filesCached+count.filesCached
	c.count.bytesMissed, c.count.bytesCached = c.count.bytesMissed+count.bytesMissed, c.count.bytesCached+count.bytesCached
	for i := range c.links {
		if c.links[i].name == f.GetKey() {
			c.links[i].target = path
			return nil
		}
	}
	c.links = append(c.links, link{path, f.GetKey()})
	return nil
}

// errDisks is a launch on a node whose disks are bad.
type errDisks struct{ report string }

func (e errDisks) Error() string { return "Most of the disks failed. " + e.report }

// start prepares the directories and launches the command. Without error and process the container was stopped.
func (n *Node) start(c *container, launch *pb.ContainerLaunchContext) (Process, string, error) {
	l, err := n.prepare(c, launch)
	if err != nil {
		return nil, "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.killed {
		return nil, "", nil
	}
	p, err := n.launcher.Launch(l)
	if err != nil {
		return nil, "", err
	}
	c.proc, c.phase = p, running
	if c.next == launch {
		c.next = nil
	} else if c.next != nil { // asked for while this one was prepared
		n.terminate(p, c.finished)
	}
	if c.autoDone {
		c.previous, c.autoDone = nil, false
	}
	if pid := p.PID(); pid > 0 {
		name := filepath.Join(n.privateDir(c.id), c.id.String()+".pid")
		if err := os.WriteFile(name, []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
			n.log.Warn("cannot write a pid file", "file", name, "err", err)
		}
	}
	return p, l.LogDir, nil
}

// startFailed ends a container whose command could not be launched.
func (n *Node) startFailed(c *container, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.killed {
		return
	}
	c.exit = -1
	if errors.As(err, new(errDisks)) {
		c.exit = yarn.ExitDisksFailed
	}
	c.say("%s\n", err.Error())
}

// ended notes how a process ended, and returns what is to be launched next, nil for nothing.
func (n *Node) ended(c *container, was *pb.ContainerLaunchContext, code int32, logDir string) *pb.ContainerLaunchContext {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.proc = nil
	again := !c.killed && c.next == nil && n.retry(c, was, code)
	switch {
	case c.next != nil && !c.killed:
		c.launch = c.next
		return c.next
	case again:
		return was
	}
	const termed, forced = 143, 137
	switch {
	case code == termed || code == forced:
		c.say("Container killed on request. Exit code is %d\n", code)
		c.say("Container exited with a non-zero exit code %d. \n", code)
		if !c.killed {
			c.say("Killed by external signal\n")
		}
	case code != 0:
		c.say("Exception from container-launch.\nContainer id: %s\nExit code: %d\n\n", c.id, code)
		c.say("Container exited with a non-zero exit code %d. %s\n", code, tails(logDir))
	}
	if !c.killed {
		c.exit = yarn.ExitStatus(code)
	}
	return nil
}

// retry tells whether a container is to be launched again by its retry context, and waits for the interval, under
// n.mu, which it releases meanwhile. Source: ContainerImpl.RetryFailureTransition, SlidingWindowRetryPolicy.
func (n *Node) retry(c *container, l *pb.ContainerLaunchContext, code int32) bool {
	r := l.GetContainerRetryContext()
	ok := code != 0 && code != 143 && code != 137 && (r.GetMaxRetries() == -1 || c.retries < r.GetMaxRetries())
	switch r.GetRetryPolicy() {
	case pb.ContainerRetryPolicy_NEVER_RETRY:
		return false
	case pb.ContainerRetryPolicy_RETRY_ON_SPECIFIC_ERROR_CODES:
		found := false
		for _, x := range r.GetErrorCodes() {
			found = found || x == code
		}
		ok = ok && found
	}
	if !ok {
		return false
	}
	c.retries++
	n.mu.Unlock()
	sleep(c.ctx, time.Duration(r.GetRetryInterval())*time.Millisecond)
	n.mu.Lock()
	return !c.killed
}

// tailSize is yarn.nodemanager.container.stderr.tail.bytes.
const tailSize = 4096

// tails quotes the ends of the logs that tell why a command failed. Source: ContainerLaunch.handleContainerExitWithFailure.
func tails(logDir string) string {
	var b strings.Builder
	if text, err := tail(filepath.Join(logDir, preLaunchErr)); err == nil {
		fmt.Fprintf(&b, "Error file: %s.\nLast %d bytes of %s :\n%s", preLaunchErr, tailSize, preLaunchErr, text)
	}
	names, _ := filepath.Glob(filepath.Join(logDir, "*stderr*"))
	if len(names) > 0 {
		if text, err := tail(names[0]); err == nil {
			fmt.Fprintf(&b, "Last %d bytes of %s :\n%s\n", tailSize, filepath.Base(names[0]), text)
		}
	}
	return b.String()
}

func tail(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return "", errors.Join(err, errors.New("not a file"))
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, st.Size()-tailSize), tailSize))
	return string(text), err
}

func (n *Node) privateDir(id yarn.ContainerID) string {
	return filepath.Join(n.opt.LocalDirs[0], "nmPrivate", id.Attempt.App.String(), id.String())
}

// complete removes what a container leaves, and tells the ResourceManager at once.
func (n *Node) complete(c *container) {
	n.mu.Lock()
	c.phase = completing
	n.mu.Unlock()
	if !n.opt.KeepDirs {
		dirs := []string{n.privateDir(c.id)}
		for _, local := range n.opt.LocalDirs {
			dirs = append(dirs, filepath.Join(appCache(local, c.user, c.id.Attempt.App), c.id.String()))
		}
		for _, dir := range dirs {
			if err := os.RemoveAll(dir); err != nil {
				n.log.Warn("cannot remove a container's directory", "dir", dir, "err", err)
			}
		}
	}
	c.cancel()
	n.mu.Lock()
	defer n.mu.Unlock()
	c.phase = done
	n.letRun(n.turns.left(c))
	close(c.finished)
	n.log.Debug("container ended", "container", c.id.String(), "exit", int32(c.exit))
	n.finishIfEnded(c.id.Attempt.App)
	n.hurry()
}

// credentials are what a container's token file holds.
func credentials(l *pb.ContainerLaunchContext) (*token.Credentials, error) {
	if len(l.GetTokens()) == 0 {
		return &token.Credentials{}, nil
	}
	return token.Parse(l.GetTokens())
}

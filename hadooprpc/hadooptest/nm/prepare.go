package nm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Permissions of directories. Source: DefaultContainerExecutor (3.4.2).
const (
	userPerm fs.FileMode = 0o750
	dirPerm  fs.FileMode = 0o710
)

// prepare makes a container's directories, launch script and token file.
func (n *Node) prepare(c *container, launch *pb.ContainerLaunchContext) (*Launch, error) {
	if report := n.faultsNow().Disks; report != "" {
		return nil, errDisks{report}
	}
	for _, f := range launch.GetLocalResources() {
		if filepath.IsAbs(f.GetKey()) {
			return nil, ioError("Destination must be relative")
		}
	}
	if err := n.makeDirs(c); err != nil {
		return nil, err
	}
	dir, logDir := n.WorkDir(c.user, c.id), n.LogDir(c.id)
	var command []string
	for _, s := range launch.GetCommand() {
		command = append(command, Expand(s, logDir))
	}
	n.mu.Lock()
	env := n.environment(c, launch, dir, logDir)
	s := script{env: env, whitelist: n.opt.Whitelist, getenv: n.opt.Getenv, links: slices.Clone(c.links), command: command, logDir: logDir, debug: !n.opt.NoDebugInfo}
	l := &Launch{ID: c.id, User: c.user, Resource: resourceOf(c.resource), Dir: dir, LogDir: logDir, Enter: n.opt.Enter,
		Script: filepath.Join(dir, launchScript), Env: env.list(), Command: command, Context: launch}
	n.mu.Unlock()
	if err := replace(l.Script, []byte(s.String()), 0o700); err != nil {
		return nil, err
	}
	return l, replace(filepath.Join(dir, tokensFile), c.creds.Append(nil, token.V0), 0o600)
}

// replace writes a file that is there already only when the container is launched again.
func replace(name string, data []byte, mode fs.FileMode) error {
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(name, data, mode)
}

func (n *Node) makeDirs(c *container) error {
	var dirs []string
	for _, local := range n.opt.LocalDirs {
		app := appCache(local, c.user, c.id.Attempt.App)
		dirs = append(dirs, userCache(local, c.user), filepath.Dir(app), app, filepath.Join(app, c.id.String()))
	}
	for _, logs := range n.opt.LogDirs {
		dirs = append(dirs, n.appLogs(logs, c.id.Attempt.App), filepath.Join(n.appLogs(logs, c.id.Attempt.App), c.id.String()))
	}
	dirs = append(dirs, filepath.Join(n.WorkDir(c.user, c.id), "tmp"), n.privateDir(c.id))
	for _, dir := range dirs {
		perm := dirPerm
		if filepath.Base(filepath.Dir(dir)) == "usercache" {
			perm = userPerm
		}
		if err := os.MkdirAll(dir, perm); err != nil {
			return err
		}
	}
	return nil
}

// environment puts a container's environment together, under n.mu. Source: ContainerLaunch.sanitizeEnv (3.4.2).
func (n *Node) environment(c *container, launch *pb.ContainerLaunchContext, dir, logDir string) *environment {
	env := &environment{}
	for _, v := range launch.GetEnvironment() {
		env.set(v.GetKey(), Expand(v.GetValue(), logDir))
	}
	each := func(dirs []string, f func(string) string) string {
		var out []string
		for _, d := range dirs {
			out = append(out, f(d))
		}
		return strings.Join(out, ",")
	}
	app := c.id.Attempt.App
	env.setOwn("HADOOP_TOKEN_FILE_LOCATION", filepath.Join(dir, tokensFile))
	env.setOwn("CONTAINER_ID", c.id.String())
	env.setOwn("NM_PORT", strconv.Itoa(int(n.id.Port)))
	env.setOwn("NM_HOST", n.id.Host)
	env.setOwn("NM_HTTP_PORT", n.httpPort())
	env.setOwn("LOCAL_DIRS", each(n.opt.LocalDirs, func(d string) string { return appCache(d, c.user, app) }))
	env.setOwn("LOCAL_USER_DIRS", each(n.opt.LocalDirs, func(d string) string { return userCache(d, c.user) + "/" }))
	env.setOwn("LOG_DIRS", each(n.opt.LogDirs, func(d string) string { return filepath.Join(n.appLogs(d, app), c.id.String()) }))
	env.setOwn("USER", c.user)
	env.setOwn("LOGNAME", c.user)
	env.setOwn("HOME", n.opt.Home)
	env.setOwn("PWD", dir)
	env.setOwn("LOCALIZATION_COUNTERS", fmt.Sprintf("%d,%d,%d,%d,0", c.count.bytesMissed, c.count.bytesCached, c.count.filesMissed, c.count.filesCached))
	env.setOwn("JVM_PID", "$$")
	for _, v := range n.opt.AdminEnv {
		name, value, _ := strings.Cut(v, "=")
		env.set(name, value)
	}
	return env
}

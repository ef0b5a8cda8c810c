package nm

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Names of files in a container's directories.
const (
	launchScript  = "launch_container.sh"
	tokensFile    = "container_tokens"
	preLaunchOut  = "prelaunch.out"
	preLaunchErr  = "prelaunch.err"
	directoryInfo = "directory.info"
)

// link is a localized file and its name in the working directory.
type link struct{ target, name string }

// script is what launch_container.sh is made of.
type script struct {
	env       *environment
	whitelist []string // names handed down from the node unless the container sets them
	getenv    func(string) (string, bool)
	links     []link
	command   []string
	logDir    string
	debug     bool // copies of the script and the directory's listing in the logs
}

// String is the script, line by line as a NodeManager writes it. Nothing is escaped: a value with a quote in it ends
// its string, and a dollar is the shell's.
//
// Sources: ContainerExecutor.writeLaunchEnv, ContainerLaunch.UnixShellScriptBuilder (3.4.2).
func (s script) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/bash\n")
	line("set -o pipefail -e")
	line("export PRELAUNCH_OUT=\"%s\"\nexec >\"${PRELAUNCH_OUT}\"", filepath.Join(s.logDir, preLaunchOut))
	line("export PRELAUNCH_ERR=\"%s\"\nexec 2>\"${PRELAUNCH_ERR}\"", filepath.Join(s.logDir, preLaunchErr))
	line("echo \"Setting up env variables\"")
	for _, name := range s.whitelist {
		if value, ok := s.getenv(name); ok && !s.env.has(name) {
			line("export %s=${%s:-\"%s\"}", name, name, value)
		}
	}
	for _, v := range s.env.ordered() {
		line("export %s=\"%s\"", v.name, v.value)
	}
	line("echo \"Setting up job resources\"")
	for _, l := range s.links {
		if dir := filepath.Dir(l.name); dir != "." {
			line("mkdir -p %s", dir)
		}
		line("ln -sf -- \"%s\" \"%s\"", l.target, l.name)
	}
	if s.debug {
		s.debugLines(line)
	}
	line("echo \"Launching container\"")
	line("exec /bin/bash -c \"%s\"", strings.Join(s.command, " "))
	return b.String()
}

func (s script) debugLines(line func(string, ...any)) {
	copied, info := filepath.Join(s.logDir, launchScript), filepath.Join(s.logDir, directoryInfo)
	line("echo \"Copying debugging information\"")
	line("# Creating copy of launch script\ncp \"%s\" \"%s\"\nchmod 640 \"%s\"", launchScript, copied, copied)
	line("# Determining directory contents")
	to := ">"
	for _, cmd := range [][2]string{{"ls -l:", "ls -l"}, {"find -L . -maxdepth 5 -ls:", "find -L . -maxdepth 5 -ls"},
		{"broken symlinks(find -L . -maxdepth 5 -type l -ls):", "find -L . -maxdepth 5 -type l -ls"}} {
		line("echo \"%s\" 1%s\"%s\"\n%s 1>>\"%s\"", cmd[0], to, info, cmd[1], info)
		to = ">>"
	}
}

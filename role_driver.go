package yarnd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/identity"
)

// driverGrace is how long a driver has after SIGTERM. A node manager kills the
// container 250 ms after it asked for its end, unless it was told to wait longer
// (yarn.nodemanager.sleep-delay-before-sigkill.ms), and would leave the driver's
// children.
const driverGrace = 200 * time.Millisecond

// programEnd is how a driver's program ended: the process of the role ends alike.
type programEnd int

func (e programEnd) Error() string {
	return fmt.Sprintf("the driver's program exited with code %d", int(e))
}

// The codes of a shell for what cannot be started.
const (
	notStarted programEnd = 126
	notThere   programEnd = 127
)

// driver is the role of the container that runs the user's program. It needs no
// certificate of its own: the program is a client, with the owner's credential.
func driver(ctx context.Context, log *slog.Logger) error {
	if err := amclient.Lifeline(); err != nil {
		return err
	}
	launch, err := amclient.ReadLaunch()
	if err != nil {
		return err
	}
	tokens, err := driverTokens(launch, log)
	if err != nil {
		return err
	}
	defer tokens.stop()
	env, err := driverEnv(os.Environ(), launch.App, tokens.file)
	if err != nil {
		return err
	}
	// The parent-death signal is sent when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(launch.Command[0], launch.Command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		log.Error("the driver's program cannot be started", "program", launch.Command[0], "err", err)
		if errors.Is(err, fs.ErrNotExist) {
			return notThere
		}
		return notStarted
	}
	group := -cmd.Process.Pid
	defer syscall.Kill(group, syscall.SIGKILL) //nolint:errcheck // whoever is left
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-ctx.Done():
		syscall.Kill(group, syscall.SIGTERM) //nolint:errcheck // it may have ended
		select {
		case <-ended:
		case <-time.After(driverGrace):
			syscall.Kill(group, syscall.SIGKILL) //nolint:errcheck // it may have ended
			<-ended
		}
	}
	return endOf(cmd.ProcessState)
}

// endOf tells how a program ended, as a shell does.
func endOf(state *os.ProcessState) error {
	code := state.ExitCode()
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	if code == 0 {
		return nil
	}
	return programEnd(code)
}

// driverEnv is what the program finds: the application, its owner's credential, the
// cluster's configuration wherever it goes, and yarnd as a command. Of the container's own
// credentials it gets the owner's delegation tokens, if there are any, and no more.
func driverEnv(base []string, app, tokens string) ([]string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		return strings.HasPrefix(v, login.TokenFileVar+"=")
	})
	env = append(env, "YARND_APP="+app, edgeclient.CredentialVar+"="+filepath.Join(dir, spec.ClientFile), "PATH="+dir+":"+os.Getenv("PATH"))
	if tokens != "" {
		env = append(env, login.TokenFileVar+"="+tokens)
	}
	if conf := os.Getenv("HADOOP_CONF_DIR"); conf == "." {
		env = append(env, "HADOOP_CONF_DIR="+dir)
	}
	if os.Getenv("YARND_HOME") == "" {
		env = append(env, "YARND_HOME="+filepath.Join(dir, ".yarnd"))
	}
	return env, nil
}

// programTokens are the owner's delegation tokens in a file for the program, which is kept the newest until stop.
type programTokens struct {
	file string // "": there are none
	stop func()
}

// driverTokens writes the tokens of the container, without its secrets, into a file of the program's.
func driverTokens(launch *amclient.Launch, log *slog.Logger) (programTokens, error) {
	none := programTokens{stop: func() {}}
	file, err := writeDelegated()
	if err != nil || file == "" {
		return none, err
	}
	text, err := os.ReadFile(spec.ClientFile)
	if err != nil {
		return none, err
	}
	owner, err := identity.ParsePEM(text)
	if err != nil {
		return none, err
	}
	am, err := amclient.Dial(owner, amclient.Options{Addresses: launch.AM, Locate: locate(launch), Log: log})
	if err != nil {
		return none, err
	}
	os.Setenv(login.TokenFileVar, file) // also for us: locate needs them as new
	keep := keepTokens(am, file)
	return programTokens{file, func() { keep(); am.Close() }}, nil
}

package edgeclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/appmaster/provider/local"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Submit starts an application master's process, once however many submit it, and however
// many of these are killed:
//
//	submitter: locks; no app.json; starts a shell, which inherits the lock and waits
//	           writes app.new, which names the shell's process; says "go"
//	shell:     renames app.new to app.json; becomes the application master; lets go of the lock
//
// A shell that is not told "go", because its submitter died, ends. Whoever gets the lock
// finds an application that was started, or one that never will be but by him.
func (l *localCluster) Submit(ctx context.Context, launch Launch) error {
	l.prune()
	what := "cannot start the application master of " + launch.ID
	lock, err := l.lock(ctx, launch.ID)
	if err != nil && launch.Again { // who has the lock starts it
		err = fmt.Errorf("%w: %w", errUnknown, err)
	}
	if err != nil {
		return wrap(Internal, what, err, "Check the disk")
	}
	defer lock.Close()
	if _, err := os.Stat(l.dir(launch.ID, appFile)); err == nil {
		return nil
	}
	if err := l.furnish(launch); err != nil {
		return wrap(Internal, what, err, "Check the disk")
	}
	program := filepath.Join(l.dir(launch.ID, "am"), spec.ProgramName)
	if err := unix.Access(program, unix.X_OK); err != nil {
		return wrap(Internal, what, err, "Check that "+l.root+" is not on a file system mounted noexec")
	}
	cmd, err := l.command(launch, program)
	if err != nil {
		return wrap(Internal, what, err, "Check the disk")
	}
	defer closeWriters(cmd)
	if l.opts.Leash {
		end, err := l.tie(cmd)
		if err != nil {
			return wrap(Internal, what, err, "Close other files")
		}
		defer end.Close()
	}
	return wrap(Internal, what, l.start(ctx, launch, cmd, lock), "Check the disk")
}

// lock waits until nobody else submits an application, by the lock of its directory.
func (l *localCluster) lock(ctx context.Context, id string) (f *os.File, err error) {
	if err := os.MkdirAll(l.dir(id), 0o700); err != nil {
		return nil, err
	}
	if f, err = os.Open(l.dir(id)); err != nil {
		return nil, err
	}
	err = poll(ctx, func() (bool, error) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// furnish makes the application master's directories, in place of those of an earlier try.
func (l *localCluster) furnish(launch Launch) error {
	am := l.dir(launch.ID, "am")
	if err := os.RemoveAll(am); err != nil {
		return err
	}
	for _, d := range []string{am, l.dir(launch.ID, "logs", "am")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	for _, f := range launch.Files {
		if err := localize(strings.TrimPrefix(f.URL, "file://"), filepath.Join(am, f.Link)); err != nil {
			return err
		}
	}
	return nil
}

// gated waits for a line and commits to the start before it becomes the program. Its
// arguments are the program, the file to rename and its new name; the lock's descriptor is
// filled in.
const gated = `read -r go && mv "$1" "$2" && exec "$0" appmaster %d>&- </dev/null`

// command is the application master's process, not started; the caller closes its writers.
func (l *localCluster) command(launch Launch, program string) (*exec.Cmd, error) {
	logs := l.dir(launch.ID, "logs", "am")
	cmd := exec.Command("/bin/sh", "-c", "", program, l.dir(launch.ID, newAppFile), l.dir(launch.ID, appFile))
	cmd.Dir = filepath.Dir(program)
	cmd.Env = append(os.Environ(), LocalDirVar+"="+l.dir(launch.ID), "LOG_DIRS="+logs)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for name, to := range map[string]*io.Writer{"stdout": &cmd.Stdout, "stderr": &cmd.Stderr} {
		f, err := os.OpenFile(filepath.Join(logs, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			closeWriters(cmd)
			return nil, err
		}
		*to = f
	}
	return cmd, nil
}

func closeWriters(cmd *exec.Cmd) {
	for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
		if f, ok := w.(*os.File); ok {
			f.Close()
		}
	}
}

// start lets the process begin once what is known of it is written.
func (l *localCluster) start(ctx context.Context, launch Launch, cmd *exec.Cmd, lock *os.File) error {
	gate, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer gate.Close()
	defer tell.Close() // before "go": the process ends
	const firstExtra = 3
	cmd.Args[2] = fmt.Sprintf(gated, firstExtra+len(cmd.ExtraFiles))
	cmd.ExtraFiles = append(cmd.ExtraFiles, lock)
	cmd.Stdin = gate
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the application; our own end leaves it alive
	began, _ := processBegan(cmd.Process.Pid)
	r := launch.Request
	app, err := json.Marshal(localApp{Name: r.Name, Queue: r.Queue, Tags: r.Tags, PID: cmd.Process.Pid, Began: began})
	if err == nil {
		err = renameio.WriteFile(l.dir(launch.ID, newAppFile), app, 0o600)
	}
	if err == nil {
		_, err = tell.WriteString("go\n")
	}
	if err != nil {
		return err
	}
	whole, cancel := linger(ctx, submitGrace) // it begins whether we wait or not
	defer cancel()
	return poll(whole, func() (bool, error) {
		_, err := os.Stat(l.dir(launch.ID, appFile))
		if !errors.Is(err, fs.ErrNotExist) {
			return true, err
		}
		select {
		case err := <-ended:
			return true, fmt.Errorf("its process ended before it began: %w", err)
		default:
			return false, nil
		}
	})
}

// tie has a process watch the end of a pipe, which the caller closes once it is
// started; the other end is ours alone, until Close or the end of this process.
func (l *localCluster) tie(cmd *exec.Cmd) (end *os.File, err error) {
	end, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{end} // descriptor 3
	cmd.Env = append(cmd.Env, local.LifelineEnv+"=3")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leash = append(l.leash, ours)
	return end, nil
}

// localize puts a staged file into the application master's directory, as a link.
//
// The program in the cache is made executable for that, which also has the containers
// run it where it lies, and unwritable: nothing that runs there can change it for the
// next application. A cache on another file system is copied from.
func localize(from, to string) error {
	if filepath.Base(to) != spec.ProgramName {
		return os.Symlink(from, to)
	}
	const readAndRun = 0o500
	if os.Chmod(from, readAndRun) == nil && os.Link(from, to) == nil { // #nosec G302 -- it is a program
		return nil
	}
	return local.CopyExecutable(from, to)
}

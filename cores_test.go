package yarnd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// A role that crashes leaves no image of its memory, where another process of the same program does.
func TestNoCore(t *testing.T) {
	if waits := os.Getenv("YARND_TEST_WAIT"); waits != "" { // the other process
		os.ReadFile(waits) //nolint:errcheck // it is aborted before that ends
		return
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: was.Max, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_CORE, &was) })
	other := abort(t, "-test.run=^TestNoCore$")
	if other.limit != was.Max {
		t.Fatalf("the other process has a limit of %d, not of %d", other.limit, was.Max)
	}
	if !other.image {
		t.Logf("of no process is there an image on this machine (the hard limit is %d): the roles' limits are looked at alone", was.Max)
	}
	for _, role := range []string{"appmaster", "scheduler", "worker", "driver"} {
		if got := abort(t, role); got.limit > coreLimit || got.image || len(got.files) > 0 {
			t.Errorf("%s: its limit is %d bytes, an image was made: %v, in its directory are %v; the other process: %+v", role, got.limit, got.image, got.files, other)
		}
	}
}

// aborted is what is left of a process that was aborted.
type aborted struct {
	limit uint64 // of images, in bytes
	image bool   // the kernel made one
	files []string
}

// abort starts this program with an argument, in a directory of its own, and aborts it when it has come so far as to read what it
// was given.
func abort(t *testing.T, arg string) (out aborted) {
	t.Helper()
	dir := t.TempDir()
	tokens, spec := filepath.Join(dir, "tokens"), filepath.Join(dir, spec.SpecFile)
	for _, fifo := range []string{tokens, spec} { // who reads from it waits
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], arg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "YARND_TEST_WAIT="+tokens, "HADOOP_TOKEN_FILE_LOCATION="+tokens, "CONTAINER_ID=container_1_0001_01_000002")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has mostly ended
	for deadline := time.Now().Add(time.Minute); !isRead(t, tokens) && !isRead(t, spec); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come to read", arg)
		}
	}
	out.limit = limitOfCores(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // how it ended is looked at
	ended := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ended.Signaled() || ended.Signal() != syscall.SIGABRT {
		t.Fatalf("%s was to be aborted, and ended with %v: %s", arg, cmd.ProcessState, said.String())
	}
	out.image = ended.CoreDump()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type() != os.ModeNamedPipe {
			out.files = append(out.files, e.Name())
		}
	}
	return out
}

// isRead tells whether somebody has opened a FIFO to read from it, or is about to.
func isRead(t *testing.T, fifo string) bool {
	t.Helper()
	f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) // what is closed has an end, and the process would go on
	return true
}

// limitOfCores is the soft limit of another process.
func limitOfCores(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "Max core file size")
		if !ok {
			continue
		}
		if f := strings.Fields(rest); f[0] != "unlimited" {
			n, err := strconv.ParseUint(f[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		return 1<<64 - 1 // RLIM_INFINITY
	}
	t.Fatalf("no limit of images in %s", text)
	return 0
}

package packaging

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// plant makes files below a directory; a value that begins with "->" is a link,
// a name that ends in * a program.
func plant(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		name, program := strings.CutSuffix(name, "*")
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(target, file)
		} else {
			err = os.WriteFile(file, []byte(text), map[bool]fs.FileMode{true: 0o700, false: 0o600}[program])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plantVenv makes what python -m venv makes, as far as we look at it.
func plantVenv(t testing.TB, dir string) string {
	python := plant(t, t.TempDir(), map[string]string{"python3.11*": "#!/bin/sh\n"}) + "/python3.11"
	return plant(t, dir, map[string]string{
		"pyvenv.cfg":          "home = /usr/bin\nversion = 3.11.7\ncommand = python3 -m venv " + dir + "\n",
		"bin/python":          "->python3",
		"bin/python3":         "->" + python,
		"bin/tool*":           "#!" + dir + "/bin/python3\nimport tool\n",
		"bin/long*":           "#!/bin/sh\n'''exec' \"" + dir + "/bin/python\" \"$0\" \"$@\"\n' '''\nimport long\n",
		"bin/other*":          "#!/usr/bin/env perl\n",
		"bin/activate":        "VIRTUAL_ENV=\"" + dir + "\"\nexport VIRTUAL_ENV\n",
		"bin/activate.fish":   "set -gx VIRTUAL_ENV " + dir + "\n",
		"lib64":               "->lib",
		"lib/abs":             "->" + dir + "/lib/python3.11",
		"lib/python3.11/m.py": "x = 1\n",
		"lib/python3.11/__pycache__/m.cpython-311.pyc":               "code",
		"lib/python3.11/site-packages/six-1.17.0.dist-info/METADATA": "Name: six\n",
	})
}

func TestPackVenv(t *testing.T) {
	dir := plantVenv(t, t.TempDir()+"/my env")
	store := plant(t, t.TempDir(), map[string]string{"cached/pkg.py": "y = 2\n", "one.py": "z = 3\n"})
	plant(t, dir, map[string]string{"lib/python3.11/pkg": "->" + store + "/cached", "lib/python3.11/one.py": "->" + store + "/one.py"})
	to := t.TempDir() + "/env.tar.gz"
	p, err := Pack(t.Context(), "venv://"+dir, PackOptions{To: to})
	if err != nil {
		t.Fatal(err)
	}
	if p.Manifest.Python != "3.11.7" || len(p.Manifest.Packages) != 1 || p.Manifest.Packages[0] != (Package{"six", "1.17.0"}) || p.Manifest.Interpreter == "" {
		t.Errorf("manifest %+v", p.Manifest)
	}
	if _, err := InspectArchive(t.Context(), to, Limits{}); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("a link outside: %v", err)
	}
	limits := Limits{OutsideLinks: true}
	i, err := Inspect(t.Context(), to, limits)
	if err != nil || len(i.Problems) > 0 || i.Manifest == nil || i.ContentSHA256 != i.Manifest.ContentSHA256 || i.Interpreter != p.Manifest.Interpreter {
		t.Errorf("%+v, %v", i, err)
	}
	out := t.TempDir() + "/out"
	if _, err := Unpack(t.Context(), to, out, limits); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python%s' \"$0\" \"$@\"\n' '''\nimport %s\n"
	for name, want := range map[string]string{
		"bin/tool":                  strings.Replace(strings.Replace(script, "%s", "3", 1), "%s", "tool", 1),
		"bin/long":                  strings.Replace(strings.Replace(script, "%s", "", 1), "%s", "long", 1),
		"bin/other":                 "#!/usr/bin/env perl\n",
		"pyvenv.cfg":                "home = /usr/bin\nversion = 3.11.7\n",
		"lib64/python3.11/m.py":     "x = 1\n",
		"lib/abs/m.py":              "x = 1\n",
		"lib/python3.11/pkg/pkg.py": "y = 2\n",
		"lib/python3.11/one.py":     "z = 3\n",
	} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, gone := range []string{"bin/activate.fish", "lib/python3.11/__pycache__"} {
		if _, err := os.Lstat(filepath.Join(out, gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	if got, _ := os.ReadFile(out + "/bin/activate"); bytes.Contains(got, []byte(dir)) || !bytes.Contains(got, []byte("dirname")) {
		t.Errorf("activate: %s", got)
	}
	if got, _ := os.Readlink(out + "/lib/abs"); got != "python3.11" {
		t.Errorf("a link inside became %q", got)
	}
}

// The same files give the same bytes: on another day, elsewhere, with other
// numbers of processors.
func TestPackIsDeterministic(t *testing.T) {
	big := strings.Repeat("some text that is compressed\n", 200_000)
	files := map[string]string{"a": big, "b*": "#!/bin/sh\n", "d/c": "x", "l": "->d/c"}
	var sums [][32]byte
	for _, procs := range []int{1, 3} {
		old := runtime.GOMAXPROCS(procs)
		to := t.TempDir() + "/a.tgz"
		if _, err := Pack(t.Context(), plant(t, t.TempDir(), files), PackOptions{To: to}); err != nil {
			t.Fatal(err)
		}
		runtime.GOMAXPROCS(old)
		sum, err := hashFile(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	if sums[0] != sums[1] {
		t.Error("two archives of the same files differ")
	}
}

func TestPackRefuses(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	pipe := t.TempDir()
	if err := syscall.Mkfifo(pipe+"/p", 0o600); err != nil {
		t.Fatal(err)
	}
	loop := plant(t, t.TempDir(), map[string]string{"a": "x"})
	plant(t, loop, map[string]string{"up": "->" + filepath.Dir(loop)})
	dead := plantVenv(t, t.TempDir())
	os.Remove(dead + "/bin/python3")
	editable := plantVenv(t, t.TempDir())
	plant(t, editable, map[string]string{"lib/python3.11/site-packages/x.pth": "/home/me/src\n"})
	plain := plant(t, t.TempDir(), map[string]string{"a": "x"})
	for source, want := range map[string]string{
		"/no/such/directory":   "no such file",
		plain + "/a":           "no directory",
		t.TempDir():            "it is empty",
		pipe:                   "pipe",
		loop:                   "lies in itself",
		"venv://" + plain:      "no pyvenv.cfg",
		"venv://" + dead:       "leads nowhere",
		"venv://" + editable:   "without -e",
		"conda://base":         "conda-pack is not installed",
		"python://3.12":        "uv is not installed",
		"python://two":         "no version of Python",
		"python:///no/python3": "not on this host",
		"docker://x":           "no way to pack",
		"venv:.venv":           "write venv://.venv",
		"conda://":             "names nothing",
		"venv://--output":      "cannot be used",
		plant(t, t.TempDir(), map[string]string{"l": "->/no/such"}):                 "link to nothing",
		plant(t, t.TempDir(), map[string]string{ManifestName: "{}"}):                "rename it",
		plant(t, t.TempDir(), map[string]string{"conda-meta/history": "", "a": ""}): "use conda://",
	} {
		to := t.TempDir()
		_, err := Pack(t.Context(), source, PackOptions{To: to + "/env.tar.gz"})
		if pe := (*PackError)(nil); !errors.As(err, &pe) || !strings.Contains(err.Error(), want) || pe.Hint == "" && want != "no such file" {
			t.Errorf("%s: error %v, want %q and a hint", source, err, want)
		}
		if left, _ := os.ReadDir(to); len(left) > 0 {
			t.Errorf("%s left %v", source, left)
		}
	}
	for to, want := range map[string]string{plain + "/x.tar.gz": "inside what it holds", "/no/such/x.tar.gz": "no directory", t.TempDir() + "/x.zip": "end in .tar.gz"} {
		if _, err := Pack(t.Context(), plain, PackOptions{To: to}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--to %s: %v", to, err)
		}
	}
}

// full takes some bytes and then has no room, like a disk.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	return len(b), nil
}

func TestPackDiskFull(t *testing.T) {
	dir := plant(t, t.TempDir(), map[string]string{"a": strings.Repeat("x", 1<<20), "b": "y"})
	files, err := listTree(t.Context(), dir, PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := packTo(t.Context(), &full{left: 100}, files, "directory", PackOptions{}); !isFull(err) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := t.TempDir()
	if _, err := Pack(ctx, dir, PackOptions{To: to + "/a.tgz"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context ended", err)
	}
	if left, _ := os.ReadDir(to); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// Other packers are run as they want to be, and what they write gets a manifest.
func TestPackWithTools(t *testing.T) {
	tools, packed := t.TempDir(), t.TempDir()+"/theirs.tar.gz"
	write(t, packed, tarGz(t, fileEntry("bin/python", "#!/bin/sh\n"), fileEntry("conda-meta/python-3.12.1-h1_0.json", "{}"), fileEntry("bin/conda-unpack", "")))
	tool := "#!/bin/sh\necho \"$0 $*\" >> " + tools + "/calls\nwhile [ $1 != --output ]; do shift; done\ncp " + packed + " $2\n"
	plant(t, tools, map[string]string{"conda-pack*": tool, "venv-pack*": tool})
	t.Setenv("PATH", tools+":/usr/bin:/bin")
	for _, source := range []string{"conda://base", "venv://" + plantVenv(t, t.TempDir())} {
		p, err := Pack(t.Context(), source, PackOptions{To: t.TempDir() + "/env.tar.gz", VenvPack: true})
		if err != nil || p.Manifest.Python != "3.12.1" {
			t.Errorf("%s: %+v, %v", source, p, err)
		}
	}
	calls, _ := os.ReadFile(tools + "/calls")
	if !strings.Contains(string(calls), "--name base --output") || !strings.Contains(string(calls), "venv-pack --prefix") {
		t.Errorf("calls: %s", calls)
	}
	plant(t, tools, map[string]string{"uv*": "#!/bin/sh\necho no network >&2; exit 2\n"})
	if _, err := Pack(t.Context(), "python://3.12", PackOptions{To: t.TempDir() + "/env.tar.gz"}); err == nil || !strings.Contains(err.Error(), "uv failed (exit status 2): no network") {
		t.Errorf("error %v", err)
	}
}

func TestSaid(t *testing.T) {
	for out, want := range map[string]string{
		"": "", "\n": "", "one\n": ": one", "a\nb\n": ": b",
		"note\nerror: no\n  cause: a\n  cause: b\n": ": error: no; cause: a; cause: b",
		"error: first\nerror: second\n":             ": error: second",
		"no error: here\nlast":                      ": last",
	} {
		if got := said([]byte(out)); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
}

package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/identity"
)

// stage is a cluster whose file system is a directory and which fails on cue.
type stage struct {
	shelf
	fs        hdfs.FS
	checkErr  error
	submitErr error
	onSubmit  func(Launch)
	forgotten []string
}

const newID = "application_1700000000000_0099"

func (s *stage) NewID(context.Context) (string, Resources, error) {
	return newID, Resources{VCores: 8, Memory: 8 << 30}, nil
}
func (s *stage) Forget(id string)                                { s.forgotten = append(s.forgotten, id) }
func (s *stage) Check(context.Context, Request, Resources) error { return s.checkErr }

func (*stage) CheckTokens(context.Context, Request) error { return nil }
func (s *stage) FS(context.Context) (hdfs.FS, error)      { return s.fs, nil }
func (s *stage) Site() ([]byte, error)                    { return []byte("<configuration/>"), nil }
func (s *stage) Env() map[string]string                   { return map[string]string{"HADOOP_CONF_DIR": "."} }
func (s *stage) Realm() string                            { return "" }
func (s *stage) VmRatio() float64                         { return 0 }
func (s *stage) Submit(_ context.Context, l Launch) error {
	if s.onSubmit != nil {
		s.onSubmit(l)
	}
	if s.submitErr == nil {
		s.apps = append(s.apps, Report{ID: l.ID, User: "alice", State: StateAccepted})
	}
	return s.submitErr
}

// fullDisk lets a number of files through.
type fullDisk struct {
	hdfs.FS
	left int
}

func (d *fullDisk) Create(ctx context.Context, name string, o hdfs.CreateOptions) (hdfs.Writer, error) {
	if d.left--; d.left < 0 {
		return nil, &hdfs.Error{Op: "create", Path: name, Kind: hdfs.ErrQuota}
	}
	return d.FS.Create(ctx, name, o)
}

// staticProgram builds a binary that passes for a bundle.
func staticProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "bundle"), source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bundle")
}

func newStage(t *testing.T) (*Client, *stage, string) {
	t.Helper()
	home := t.TempDir()
	s := &stage{fs: hdfs.NewLocal(hdfs.LocalOptions{Home: home})}
	c := &Client{cluster: s, opts: Options{CallTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler), Progress: func(string, ...any) {}}}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return c, s, filepath.Join(home, ".yarnd")
}

// names lists a directory; one that does not exist is empty.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// However a submission fails, only the cache remains, and the id is given back.
func TestFailedSubmitLeavesNothing(t *testing.T) {
	bundle := staticProgram(t)
	refusal := &Fault{Code: Refused, What: "no"}
	for name, x := range map[string]struct {
		fail func(*stage, context.CancelFunc)
		code Code
	}{
		"refused by the pre-flight check": {func(s *stage, _ context.CancelFunc) { s.checkErr = refusal }, Refused},
		"refused by the cluster":          {func(s *stage, _ context.CancelFunc) { s.submitErr = refusal }, Refused},
		"quota at the first file":         {func(s *stage, _ context.CancelFunc) { s.fs = &fullDisk{s.fs, 0} }, Refused},
		"quota at the second file":        {func(s *stage, _ context.CancelFunc) { s.fs = &fullDisk{s.fs, 1} }, Refused},
		"quota at the last file":          {func(s *stage, _ context.CancelFunc) { s.fs = &fullDisk{s.fs, 4} }, Refused},
		"interrupted while submitting": {func(s *stage, cancel context.CancelFunc) {
			s.onSubmit = func(Launch) { cancel() }
			s.submitErr = context.Canceled
		}, Interrupted},
	} {
		t.Run(name, func(t *testing.T) {
			c, s, root := newStage(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			x.fail(s, cancel)
			_, err := c.Submit(ctx, Request{Bundle: bundle, Workers: 1})
			if CodeOf(err) != x.code {
				t.Errorf("got %v (code %d), want code %d", err, CodeOf(err), x.code)
			}
			if left := slices.DeleteFunc(names(t, root), func(n string) bool { return n == "cache" }); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if !slices.Equal(s.forgotten, []string{newID}) {
				t.Errorf("ids given back: %v", s.forgotten)
			}
		})
	}
}

// What is staged is the owner's alone, whatever the umask, and says what was asked.
func TestStaging(t *testing.T) {
	c, s, root := newStage(t)
	var launch Launch
	s.onSubmit = func(l Launch) { launch = l }
	r, err := c.Submit(t.Context(), Request{Bundle: staticProgram(t), Workers: 3, Wait: WaitNone, EnvVars: map[string]string{"A": "b"}})
	if err != nil || r.ID != newID {
		t.Fatal(r.ID, err)
	}
	for _, dir := range []string{root, filepath.Join(root, newID), filepath.Join(root, "cache")} {
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want 0700", dir, st.Mode(), err)
		}
	}
	if got, want := names(t, filepath.Join(root, newID)), []string{"client.pem", "core-site.xml", "launch.json", "lease.json", "seed", "spec.json"}; !slices.Equal(got, want) {
		t.Errorf("staged %v, want %v", got, want)
	}
	for _, name := range names(t, filepath.Join(root, newID)) {
		if st, err := os.Stat(filepath.Join(root, newID, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", name, st.Mode(), err)
		}
	}
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(root, newID, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	app, err := spec.Decode(read(spec.SpecFile))
	if err != nil {
		t.Fatal(err)
	}
	worker := app.Pool(WorkerPool)
	if app.ID != newID || worker.Count != 3 || worker.Env["A"] != "b" || worker.Env["HADOOP_CONF_DIR"] != "." {
		t.Errorf("the specification says %+v", app)
	}
	owner, err := identity.ParsePEM(read(spec.ClientFile))
	if err != nil || owner.Subject().Role != identity.Client || owner.Subject().Name != "alice" {
		t.Errorf("the owner's credential is of %v, %v", owner.Subject(), err)
	}
	for _, f := range launch.Files {
		if f.Link == spec.ClientFile {
			t.Error("the application master is given the owner's credential")
		}
	}
	if _, err := c.credential(t.Context(), Report{ID: newID, User: "alice"}); err != nil {
		t.Errorf("the owner cannot come back: %v", err)
	}
}

// Each submission sweeps up after applications that ended without their master's
// doing so, and leaves alone what may live.
func TestSweep(t *testing.T) {
	c, s, root := newStage(t)
	s.apps = []Report{
		{ID: "application_1700000000000_0001", User: "alice", State: StateKilled},
		{ID: "application_1700000000000_0002", User: "alice", State: StateRunning},
	}
	for _, name := range []string{"application_1700000000000_0001", "application_1700000000000_0002", "application_1700000000000_0003", "application_1700000000000_0004", "notes"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(filepath.Join(root, "application_1700000000000_0003"), old, old); err != nil {
		t.Fatal(err)
	}
	for n := range 30 { // many that run do not hide one that ended
		id := fmt.Sprintf("application_1600000000000_%04d", n)
		s.apps = append(s.apps, Report{ID: id, User: "alice", State: StateRunning})
		if err := os.MkdirAll(filepath.Join(root, id), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.sweep(t.Context(), s.fs, newID)
	// 0003 is unknown and old; 0004 is unknown and may be a submission under way.
	want := []string{"application_1700000000000_0002", "application_1700000000000_0004", "notes"}
	if got := names(t, root); len(got) != len(want)+30 || !slices.Equal(got[30:], want) {
		t.Errorf("left %v, want 30 that run and %v", got, want)
	}
}

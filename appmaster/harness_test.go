package appmaster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/local"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/identity"
)

const patience = 20 * time.Second

// dirStaging is a staging directory on this machine.
type dirStaging struct{ dir string }

func (s dirStaging) Publish(_ context.Context, name string, data []byte) error {
	return os.WriteFile(filepath.Join(s.dir, name), data, 0o600)
}

func (s dirStaging) Read(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(s.dir, name))
}

func (s dirStaging) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (s dirStaging) Discard(_ context.Context, name string) error {
	return os.RemoveAll(filepath.Join(s.dir, name))
}

func (s dirStaging) Remove(context.Context) error { return os.RemoveAll(s.dir) }

// world is a running application with an owner's client.
type world struct {
	*testing.T
	spec    *spec.Application
	seed    identity.Seed
	ca      *identity.CA
	dir     string // of the provider
	staging string
	opt     Options
	client  *amclient.Client
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // of Run, once done
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// prepare makes an application with a scheduler and so many workers, which begin
// does begin.
func prepare(t *testing.T, workers int) *world {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	w := &world{T: t, seed: identity.NewSeed(), dir: filepath.Join(root, "state"), staging: filepath.Join(root, "staging"), done: make(chan struct{}), log: &lockedBuffer{}}
	if err := os.Mkdir(w.staging, 0o700); err != nil {
		t.Fatal(err)
	}
	files := []spec.File{{Name: "yarnd", URL: "file://" + self, Size: st.Size(), ModTime: st.ModTime().UnixMilli(), Visibility: spec.Private}}
	size := spec.Resource{VCores: 1, MemoryMiB: 256}
	w.spec = &spec.Application{
		Version: spec.Version, ID: "local_1700000000000_0001", Name: "test & <b>bold</b>", User: "alice", Staging: "file://" + w.staging,
		Listen: spec.Listen{Host: "127.0.0.1"},
		Pools: []spec.Pool{
			{Name: "scheduler", Role: spec.RoleScheduler, Count: 1, Resource: size, Files: files, Env: map[string]string{"TEST_DIR": w.dir}},
			{Name: "worker", Role: spec.RoleWorker, Count: workers, Resource: size, Files: files, Env: map[string]string{}},
		},
	}
	if w.ca, err = identity.NewCA(w.seed, w.spec.ID); err != nil {
		t.Fatal(err)
	}
	w.opt = Options{
		Spec: w.spec, Seed: w.seed, Staging: dirStaging{w.staging}, LogDir: w.dir, Web: Web{Open: true},
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return w
}

// begin starts the application master on the local provider, unless the options
// have another, and connects.
func (w *world) begin() {
	w.Helper()
	if w.opt.Provider == nil {
		p, err := local.New(local.Options{App: w.spec.ID, Dir: w.dir, Grace: 5 * time.Second, Log: w.opt.Log})
		if err != nil {
			w.Fatal(err)
		}
		w.opt.Provider = p
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() {
		defer close(w.done)
		w.err = Run(ctx, w.opt)
	}()
	w.Cleanup(func() {
		cancel()
		<-w.done
		if w.Failed() {
			w.Log(w.log.String())
		}
	})
	w.client = w.dial(w.identity(identity.Client, "alice"))
}

func (w *world) identity(role identity.Role, name string) *identity.Identity {
	w.Helper()
	id, err := w.ca.NewIdentity(identity.Subject{App: w.spec.ID, Role: role, Name: name}, 0)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// dial makes a client that finds the application master through its staging
// directory.
func (w *world) dial(id *identity.Identity) *amclient.Client {
	w.Helper()
	c, err := amclient.Dial(id, amclient.Options{Locate: w.locate, CallTimeout: patience})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Close() })
	return c
}

func (w *world) locate(context.Context) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(w.staging, spec.AddressFile))
	if err != nil {
		return nil, err
	}
	addr, err := spec.DecodeAddress(data)
	if err != nil {
		return nil, err
	}
	return addr.AM, nil
}

func (w *world) address() string {
	w.Helper()
	w.info()
	addrs, err := w.locate(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return addrs[0]
}

func (w *world) info() *ampb.Info {
	w.Helper()
	info, err := w.client.Info(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return info
}

// until watches the application until it is as wanted.
func (w *world) until(what string, is func(*ampb.Info) bool) *ampb.Info {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	var last *ampb.Info
	for info, err := range w.client.Watch(ctx) {
		if err != nil {
			w.Logf("watching: %v", err)
			continue
		}
		if last = info; is(info) {
			return info
		}
	}
	w.Fatalf("it never was so: %s; last seen %v", what, last)
	return nil
}

// running is a condition of until: so many workers have joined, and the scheduler
// is known.
func running(workers int) func(*ampb.Info) bool {
	return func(info *ampb.Info) bool {
		joined := 0
		for _, c := range info.Containers {
			if c.Joined && c.Role == "worker" && c.State == "running" {
				joined++
			}
		}
		p := pool(info, "worker")
		return joined == workers && int(p.Running) == workers && p.Starting+p.Stopping+p.Asked == 0 && info.Scheduler != nil
	}
}

func pool(info *ampb.Info, name string) *ampb.Pool {
	for _, p := range info.Pools {
		if p.Name == name {
			return p
		}
	}
	return &ampb.Pool{}
}

func containers(info *ampb.Info, role string) []*ampb.Container {
	var list []*ampb.Container
	for _, c := range info.Containers {
		if c.Role == role {
			list = append(list, c)
		}
	}
	return list
}

// end waits for Run to return.
func (w *world) end() error {
	w.Helper()
	select {
	case <-w.done:
		return w.err
	case <-time.After(patience):
		w.Fatal("the application master does not end")
		return nil
	}
}

// readLog polls a container's log until it holds something that fits.
func (w *world) readLog(id, file string, fits func(string) bool) string {
	w.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var text bytes.Buffer
		var err error
		for chunk, e := range w.client.Logs(w.Context(), &ampb.LogsRequest{Container: id, File: file}) {
			if e != nil {
				err = e
				break
			}
			text.Write(chunk.Data)
		}
		if err == nil && fits(text.String()) {
			return text.String()
		}
		var e *amclient.Error
		if (err != nil && (!errors.As(err, &e) || !e.NotFound())) || time.Now().After(deadline) {
			w.Fatalf("log %s of %s: %v, %q", file, id, err, text.String())
		}
	}
}

var _ provider.Provider = (*local.Provider)(nil)

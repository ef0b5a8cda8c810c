package yarnd

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/yarnd/yarnd/appmaster"
	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/provider/local"
	yarnprovider "github.com/yarnd/yarnd/appmaster/provider/yarn"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/authtolocal"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
	"github.com/yarnd/yarnd/packaging"
)

// appMaster is the role of a container that negotiates the others. What it needs
// lies in its working directory: spec.json, the seed, Hadoop's configuration.
func appMaster(ctx context.Context, log *slog.Logger) error {
	text, err := os.ReadFile(spec.SpecFile)
	if err != nil {
		return err
	}
	app, err := spec.Decode(text)
	if err != nil {
		return err
	}
	if err := amclient.Setenv(app.Env); err != nil {
		return err
	}
	appmaster.TuneMemory()
	text, err = os.ReadFile(spec.SeedFile)
	if err != nil {
		return err
	}
	seed, err := identity.ParseSeed(text)
	if err != nil {
		return err
	}
	o := appmaster.Options{Spec: app, Seed: seed, Log: log}
	if edgeclient.IsLocalID(app.ID) {
		return localAppMaster(ctx, o)
	}
	return yarnAppMaster(ctx, o)
}

// localAppMaster runs on this machine and leaves word of how it ended.
func localAppMaster(ctx context.Context, o appmaster.Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := local.WatchLifeline(cancel); err != nil { // of a program that wants it no longer than itself
		return err
	}
	dir := os.Getenv(edgeclient.LocalDirVar)
	fs := hdfs.NewLocal(hdfs.LocalOptions{Home: filepath.Dir(dir)})
	defer fs.Close()
	p, err := local.New(local.Options{App: o.Spec.ID, Dir: dir, Host: "127.0.0.1", Log: o.Log, Unpack: unpack})
	if err != nil {
		return err
	}
	defer p.Close()
	if o.Spec.Listen.Interface == "" {
		o.Spec.Listen.Host = "127.0.0.1"
		o.Web.Open = true // nobody is known by name, and nobody comes from elsewhere
	}
	o.Provider, o.Staging, o.Container, o.Node = p, staging{fs, o.Spec.Staging}, "am", "127.0.0.1"
	o.LogDir = os.Getenv("LOG_DIRS")
	err = appmaster.Run(ctx, o)
	end := edgeclient.LocalEnd{Final: "SUCCEEDED", Finished: time.Now().UTC()}
	var e *appmaster.EndError
	if errors.As(err, &e) {
		end.Final, end.Diagnostics = string(e.Status), e.Why
	} else if err != nil {
		end.Final, end.Diagnostics = "FAILED", err.Error()
	}
	p.Close() // nothing runs any more in what is removed now
	return errors.Join(err, edgeclient.WriteLocalEnd(end))
}

func unpack(ctx context.Context, archive, dir string) error {
	_, err := packaging.Unpack(ctx, archive, dir, packaging.Limits{Ratio: -1, OutsideLinks: true}) // judged at submit
	return err
}

// yarnAppMaster runs in a container of YARN's.
func yarnAppMaster(ctx context.Context, o appmaster.Options) error {
	c, err := conf.Load(conf.Options{Dirs: []string{"."}})
	if err != nil {
		return err
	}
	m, err := openMaster(ctx, c, o.Spec, o.Log)
	if err != nil {
		return err
	}
	defer m.close()
	po, self, err := yarnprovider.FromEnv(c)
	if err != nil {
		return err
	}
	po.Log = o.Log
	if m.who.Ticketed() {
		po.Tickets = m.who.Tickets()
	}
	if po.IPC, err = (ipc.Options{}).WithSecurity(c, "yarn.resourcemanager.principal", nil); err != nil {
		return err
	}
	p, err := yarnprovider.New(po)
	if err != nil {
		return err
	}
	defer p.Close()
	if o.Delegation, err = m.keeper(ctx, po.Credentials, p.SetTokens); err != nil {
		return err
	}
	o.Provider, o.Staging = p, staging{m.fs, o.Spec.Staging}
	o.Container, o.Node, o.Attempt, o.LogDir = self.Container.String(), self.Node, int(self.Container.Attempt.Attempt), self.LogDir
	if o.Web, err = webOf(c, self.ProxyBase); err != nil {
		return err
	}
	o.ShortName = shortNames(c, o.Spec.Access.Realm, o.Log)
	// A node manager that ends this process may do so because its node goes down:
	// the ResourceManager decides whether there is a next attempt.
	o.LeaveOnCancel = true
	return appmaster.Run(ctx, o)
}

// shortNames maps the names by which the cluster knows its clients, by the rules of its
// configuration. With rules that cannot be read nobody has a name.
func shortNames(c *conf.Conf, realm string, log *slog.Logger) func(string) (string, error) {
	rules, err := authtolocal.FromConf(c, realm)
	if err != nil {
		log.Error("clients cannot be admitted for the cluster's word: their names cannot be told", "err", err)
		return func(string) (string, error) { return "", err }
	}
	return rules.ShortName
}

// webOf says who may ask for the application's page, and where everybody else
// finds it: the web proxy of yarn.web-proxy.address, else the ResourceManagers'.
// The page is open to everybody where YARN's own are: without Kerberos, and
// without yarn.acl.enable.
func webOf(c *conf.Conf, base string) (appmaster.Web, error) {
	addrs, err := yarn.AddressesFromConf(c)
	if err != nil {
		return appmaster.Web{}, err
	}
	from := addrs.Web
	if proxy, ok := c.Get("yarn.web-proxy.address"); ok && proxy != "" {
		from = []string{proxy}
	}
	lists, err := c.Bool("yarn.acl.enable", false)
	w := appmaster.Web{Open: err == nil && !lists && !ipc.Secure(c)}
	for _, a := range from {
		host, _, _ := strings.Cut(a, ":")
		w.ProxyHosts = append(w.ProxyHosts, host)
	}
	if len(from) > 0 {
		w.ProxyURL = addrs.WebScheme() + from[0] + base
	}
	return w, nil
}

// staging is the application's owner-only directory.
type staging struct {
	fs  hdfs.FS
	url string
}

func (s staging) dir() (string, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return "", err
	}
	return u.Path, nil
}

func (s staging) Publish(ctx context.Context, name string, data []byte) error {
	dir, err := s.dir()
	if err == nil {
		_, err = hdfs.WriteFile(ctx, s.fs, path.Join(dir, name), data, 0o600)
	}
	return err
}

// maxStaged bounds what is read of a file in the staging directory, in bytes.
const maxStaged = 16 << 20

func (s staging) Read(ctx context.Context, name string) ([]byte, error) {
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	return hdfs.ReadFile(ctx, s.fs, path.Join(dir, name), maxStaged)
}

func (s staging) List(ctx context.Context) ([]string, error) {
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	entries, err := s.fs.ReadDir(ctx, dir)
	var names []string
	for _, e := range entries {
		names = append(names, path.Base(e.Path))
	}
	return names, err
}

func (s staging) Discard(ctx context.Context, name string) error {
	dir, err := s.dir()
	if err == nil {
		err = s.fs.RemoveAll(ctx, path.Join(dir, name))
	}
	return err
}

func (s staging) Remove(ctx context.Context) error {
	dir, err := s.dir()
	if err == nil {
		err = s.fs.RemoveAll(ctx, dir)
	}
	return err
}

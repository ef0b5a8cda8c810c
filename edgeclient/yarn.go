package edgeclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/nodelog"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// ApplicationType is what YARN's lists show: yarn application -list -appTypes YARND.
const ApplicationType = "YARND"

// yarnCluster is a Hadoop cluster as its configuration describes it.
type yarnCluster struct {
	conf *conf.Conf
	who  *login.Identity // nil where there is none, which is what no says
	rm   *yarn.Client
	name string
	user string
	opts Options
	no   error // why the ResourceManager cannot be called at all; nil: it can be

	webs    webServers
	clocked bool // the ResourceManager's clock has been compared with ours

	mu   sync.Mutex // guards what follows, opened when first needed, and clocked
	fs   hdfs.FS
	logs *nodelog.Reader
}

// Properties reads "key=value" words, as -D has them.
func Properties(words []string) (map[string]string, error) {
	properties := map[string]string{}
	for _, d := range words {
		k, v, ok := strings.Cut(d, "=")
		if !ok || k == "" {
			return nil, usagef("Write -D key=value", "-D %q sets nothing", d)
		}
		properties[k] = v
	}
	return properties, nil
}

func openYARN(opts Options) (*yarnCluster, error) {
	overrides, err := Properties(opts.Define)
	if err != nil {
		return nil, err
	}
	c, err := conf.Load(conf.Options{Overrides: overrides})
	if err != nil {
		if none, ok := errors.AsType[*conf.NotFoundError](err); ok && none.Variable == "" {
			return nil, usagef("Set HADOOP_CONF_DIR; to try it on this machine set YARND_PROVIDER=local (yarnd local starts a cluster there)",
				"no Hadoop configuration is in %s", strings.Join(none.Tried, ", "))
		}
		return nil, wrap(Usage, "cannot read Hadoop's configuration", err, "Set HADOOP_CONF_DIR to the directory that holds core-site.xml and yarn-site.xml")
	}
	addrs, err := yarn.AddressesFromConf(c)
	if err != nil {
		return nil, wrap(Usage, "cannot tell where the ResourceManager is", err, "Correct yarn-site.xml in "+strings.Join(c.Files(), ", "))
	}
	y := &yarnCluster{conf: c, opts: opts, name: "ResourceManager " + strings.Join(addrs.Client, ",")}
	o := ipc.Options{ConnectTimeout: min(opts.CallTimeout, 10*time.Second), CallTimeout: opts.CallTimeout,
		RetryFor: opts.CallTimeout * 3 / 4, Logger: opts.Log}
	if y.who, y.no = logIn(c, opts); y.no == nil {
		y.user = y.who.User()
		o, err = y.who.IPC(o, c, login.ResourceManager(c, addrs.Client))
		y.no = loginFault("cannot call the "+y.name, err)
	}
	y.rm = yarn.NewClient(yarn.Options{Addresses: addrs.Client, IPC: o})
	return y, nil
}

func (y *yarnCluster) Name() string { return y.name }

func (y *yarnCluster) User() string { return y.user }

func (y *yarnCluster) Close() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	err := y.rm.Close()
	if y.fs != nil {
		err = errors.Join(err, y.fs.Close())
		y.fs = nil
	}
	if y.logs != nil {
		y.logs.Close()
		y.logs = nil
	}
	if y.who != nil {
		err = errors.Join(err, y.who.Close())
	}
	return err
}

// FS opens the default file system when it is first asked for: listing
// applications needs no NameNode.
func (y *yarnCluster) FS(ctx context.Context) (hdfs.FS, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.fs != nil {
		return y.fs, nil
	}
	if y.who == nil {
		return nil, y.no
	}
	f, err := hdfs.Open(ctx, y.conf, "", hdfs.Options{Login: y.who, Timeout: y.opts.CallTimeout, Logger: y.opts.Log})
	if err != nil {
		return nil, fsFault("cannot open "+y.conf.String("fs.defaultFS", "the default file system"), err)
	}
	y.fs = f
	return f, nil
}

// call bounds one exchange with the ResourceManager and gives its error a
// person's words.
func (y *yarnCluster) call(ctx context.Context, what string, f func(context.Context) error) error {
	if y.no != nil {
		return y.no
	}
	bounded, cancel := context.WithTimeout(ctx, y.opts.CallTimeout)
	defer cancel()
	err := f(bounded)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return wrap(Interrupted, what, context.Cause(ctx), "")
	}
	return y.fault(what, err)
}

// saslException is how a Hadoop server ends an authentication that goes wrong on its side, without saying why.
const saslException = "javax.security.sasl.SaslException"

// serviceRefuses is what can be done when a server takes no ticket that the KDC has given for it.
const serviceRefuses = "The service does not take the ticket that the KDC gave for it: its keytab is an older one or has no AES key, or its clock is apart: show this to its administrator, whose log says more"

func (y *yarnCluster) fault(what string, err error) error {
	var remote *ipc.RemoteError
	var rejected *yarn.RejectedError
	if errors.As(err, new(*Fault)) {
		return err
	}
	if f := kmsFault(what, err); f != err {
		return f
	}
	if f := loginFault(what, err); f != err {
		return f
	}
	if errors.As(err, new(*hdfs.Error)) {
		return fsFault(what, err)
	}
	errors.As(err, &remote)
	switch {
	case errors.As(err, &rejected):
		return &Fault{Code: Refused, What: what, Why: errors.New(firstLine(rejected.Diagnostics)), Next: "Change what it names and submit again"}
	case yarn.IsNotFound(err):
		return &Fault{Code: NotFound, What: what, Why: err, Next: "See yarnd list --all"}
	case yarn.IsInvalidToken(err):
		return &Fault{Code: Auth, What: what, Why: errors.New(firstLine(remote.Message)), Next: "The token has ended or was cancelled: run the step of the workflow again; or unset HADOOP_TOKEN_FILE_LOCATION, then kinit"}
	case ipc.Is(err, saslException):
		return &Fault{Code: Auth, What: what, Why: errors.New(firstLine(remote.Message)), Next: serviceRefuses}
	case errors.As(err, &remote) && yarn.IsDenied(err):
		return &Fault{Code: Auth, What: what, Why: errors.New(firstLine(remote.Message)), Next: "Ask the owner, or an administrator of the queue"}
	case errors.As(err, &remote):
		return &Fault{Code: Refused, What: what, Why: errors.New(firstLine(remote.Message)), Next: "See yarnd list, or the ResourceManager's log"}
	}
	return &Fault{Code: TimedOut, What: what, Why: fmt.Errorf("%s does not answer: %w", y.name, err),
		Next: "Check that it runs and that HADOOP_CONF_DIR is that of your cluster (" + strings.Join(y.conf.Files(), ", ") + ")"}
}

func (y *yarnCluster) NewID(ctx context.Context) (string, Resources, error) {
	var app yarn.NewApplication
	err := y.call(ctx, "cannot get an application id", func(ctx context.Context) (err error) {
		app, err = y.rm.NewApplication(ctx)
		return err
	})
	if err != nil {
		return "", Resources{}, err
	}
	largest := Resources{VCores: int(app.Maximum.GetVirtualCores()), Memory: app.Maximum.GetMemory() * MiB}
	return app.ID.String(), largest, nil
}

// Forget does nothing: the ResourceManager keeps no state of an id alone.
func (y *yarnCluster) Forget(string) {}

// Site gives the submitter's own configuration to the containers.
func (y *yarnCluster) Site() ([]byte, error) { return siteXML(y.conf) }

// Env tells the application master where its copy of the configuration is, and
// who it works for: on a cluster with simple authentication its process runs as
// the node manager's user. With Kerberos its tokens say that.
func (y *yarnCluster) Env() map[string]string {
	env := map[string]string{"HADOOP_CONF_DIR": "."}
	if !ipc.Secure(y.conf) {
		env["HADOOP_USER_NAME"] = y.user
	}
	return env
}

// Realm is that of krb5.conf, or where that has none the ResourceManager's own.
func (y *yarnCluster) Realm() string {
	if !ipc.Secure(y.conf) || y.who == nil {
		return ""
	}
	_, own, _ := strings.Cut(y.conf.String("yarn.resourcemanager.principal", ""), "@")
	return cmp.Or(y.who.Realm(), own)
}

// VmRatio reads the node managers' limit from our copy of their configuration.
func (y *yarnCluster) VmRatio() float64 {
	if on, err := y.conf.Bool("yarn.nodemanager.vmem-check-enabled", true); err != nil || !on {
		return 0
	}
	if enforced, err := y.conf.Bool("yarn.nodemanager.resource.memory.enforced", true); err != nil || enforced {
		return 0 // measured on 3.4.2: without cgroups such a node manager kills for no memory at all
	}
	ratio, err := y.conf.Float("yarn.nodemanager.vmem-pmem-ratio", 2.1)
	if err != nil {
		return 0
	}
	return ratio
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

package edgeclient

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// delegated are tokens by which an application acts for its owner on a cluster with Kerberos.
type delegated struct {
	all token.Credentials
	y   *yarnCluster
	fs  hdfs.Delegation
	own []token.Token // that were got for it, not passed on
}

// delegate gets what an application needs: a token of the file system, and, for a driver, which is a client of the
// cluster, one of the ResourceManager. Who came with tokens himself, as a workflow's step does, passes these on: with a
// token one gets no other. nil: on a cluster without Kerberos nothing is needed.
func (y *yarnCluster) delegate(ctx context.Context, r Request) (*delegated, error) {
	if !ipc.Secure(y.conf) {
		return nil, nil
	}
	d := &delegated{y: y}
	if have := y.who.Tokens(); have != nil {
		d.all = *have.Without(token.KindAMRM)
	}
	if !y.who.Ticketed() {
		return d, nil
	}
	addrs, err := yarn.AddressesFromConf(y.conf)
	if err != nil {
		return nil, wrap(Usage, "cannot tell where the ResourceManager is", err, "Correct yarn-site.xml")
	}
	renewer, err := renewerOf(y.conf.String("yarn.resourcemanager.principal", ""), addrs.Client)
	if err != nil {
		return nil, err
	}
	if err := d.fromFS(ctx, renewer); err != nil {
		d.cancel(ctx)
		return nil, err
	}
	if r.Driver != "" {
		if err := d.fromRM(ctx, renewer, login.ResourceManager(y.conf, addrs.Client)); err != nil {
			d.cancel(ctx)
			return nil, err
		}
	}
	return d, nil
}

func (d *delegated) fromFS(ctx context.Context, renewer string) error {
	f, err := d.y.FS(ctx)
	if err != nil {
		return err
	}
	var ok bool
	if d.fs, ok = f.(hdfs.Delegation); !ok {
		return nil // a local disk
	}
	t, ok, err := d.fs.DelegationToken(ctx, renewer)
	if err != nil {
		return fsFault("cannot get a delegation token of the file system", err)
	}
	if ok {
		d.add(t)
	}
	return nil
}

func (d *delegated) fromRM(ctx context.Context, renewer string, s login.Service) error {
	return d.y.call(ctx, "cannot get a delegation token of the ResourceManager", func(ctx context.Context) error {
		t, err := d.y.rm.DelegationToken(ctx, renewer)
		if err != nil {
			return err
		}
		t.Kind, t.Service = cmp.Or(t.Kind, token.KindRM), s.Names[0]
		d.add(t)
		return nil
	})
}

func (d *delegated) add(t token.Token) {
	d.all.Add(t.Service, t)
	d.own = append(d.own, t)
}

// bytes is the form in which YARN takes them; nil for none.
func (d *delegated) bytes() []byte {
	if d == nil {
		return nil
	}
	return d.all.Append(nil, token.V0)
}

// cancel ends the tokens that were got, for an application that does not come to be, as well as can be.
func (d *delegated) cancel(ctx context.Context) {
	if d == nil {
		return
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), d.y.opts.CallTimeout)
	defer end()
	for _, t := range d.own {
		var err error
		if t.Kind == token.KindRM {
			err = d.y.rm.CancelDelegationToken(ctx, t)
		} else {
			err = d.fs.CancelToken(ctx, t)
		}
		if err != nil {
			d.y.opts.Log.Debug("a delegation token that nobody needs could not be cancelled: it ends by itself", "token", t, "err", err)
		}
	}
	d.own = nil
}

// renewerOf is who renews tokens: the ResourceManager, whose principal may have _HOST for its host. Of several any will do,
// for who compares them takes short names. Source: YarnClientUtils.getRmPrincipal, SecurityUtil.getServerPrincipal.
func renewerOf(principal string, addrs []string) (string, error) {
	const key = "yarn.resourcemanager.principal"
	if principal == "" {
		return "", &Fault{Code: Usage, What: "nobody could renew the application's tokens: " + key + " is not set", Next: "Copy it from the cluster's yarn-site.xml"}
	}
	if len(addrs) == 0 || !strings.Contains(principal, "/_HOST@") {
		return principal, nil
	}
	host, _, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return "", wrap(Usage, "cannot tell the ResourceManager's host from "+addrs[0], err, "Correct yarn-site.xml")
	}
	return strings.Replace(principal, "/_HOST@", "/"+strings.ToLower(host)+"@", 1), nil
}

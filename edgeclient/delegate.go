package edgeclient

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/delegate"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// needs is for what an application has to have tokens, beside the default file system.
type needs struct {
	fileSystems []string // URLs
	rm          bool     // there is a client of the ResourceManager: a driver, or an application master that asks it for its nodes
	strict      bool     // no token that others can read on its way
	warn        bool     // of such
}

func (r Request) needs() needs {
	return needs{fileSystems: r.FileSystems, rm: r.Driver != "" || r.spreads(), strict: r.Strict}
}

// delegated are tokens by which an application acts for its owner. They are closed when they are neither renewed nor
// cancelled any more.
type delegated struct {
	all     *token.Credentials // own, and those that are passed on
	own     *delegate.Tokens   // that were got; nil: none
	until   time.Time          // when the first of own ends, where nobody renews them
	passed  bool               // others are passed on
	missing error              // of a KMS that gave none; nil: all did
	opened  []hdfs.FS
}

func (d *delegated) close() {
	for _, f := range d.opened {
		f.Close()
	}
}

// delegate gets tokens of the file systems, of the KMS that they name and, where that is needed, the ResourceManager. The renewer makes them last longer;
// "" is nobody. Who came with tokens himself, as a workflow's step does, passes them on, for with a token one gets no other.
func (y *yarnCluster) delegate(ctx context.Context, n needs, renewer string) (*delegated, error) {
	d := &delegated{all: &token.Credentials{}}
	if have := y.who.Tokens(); have != nil {
		d.all.Merge(have.Delegated())
		d.passed = len(d.all.Tokens) > 0
	}
	if !y.who.Ticketed() {
		return d, nil
	}
	s, err := y.sources(ctx, n, d)
	if err == nil {
		err = y.call(ctx, "cannot get delegation tokens", func(ctx context.Context) (err error) {
			if renewer == "" { // that a KMS is away, or does not know us, must not end the other tokens
				s.Away = func(p kms.Provider, err error) {
					d.missing = err
					y.opts.Progress("warning: no new token of %s, what there is stays: %v", p.Service, err)
				}
				d.own, d.until, err = s.GetFor(ctx, y.user)
			} else {
				d.own, err = s.Get(ctx, renewer)
			}
			return err
		})
	}
	if err != nil {
		d.close()
		return nil, err
	}
	d.all.Merge(&d.own.Credentials)
	return d, nil
}

// sources are who gives the tokens. What it opens is d's.
func (y *yarnCluster) sources(ctx context.Context, n needs, d *delegated) (s delegate.Sources, err error) {
	f, err := y.FS(ctx)
	if err != nil {
		return s, err
	}
	s.Add(f)
	s.KMS = y.openKMS(n)
	for _, u := range n.fileSystems {
		f, err := hdfs.Open(ctx, y.conf, u, hdfs.Options{Login: y.who, Timeout: y.opts.CallTimeout, Logger: y.opts.Log})
		if err != nil {
			return s, fsFault("cannot open the file system "+u, err)
		}
		d.opened = append(d.opened, f)
		s.Add(f)
	}
	if n.rm {
		addrs, err := yarn.AddressesFromConf(y.conf)
		if err != nil {
			return s, wrap(Usage, "cannot tell where the ResourceManager is", err, "Correct yarn-site.xml")
		}
		s.RM, s.RMName = y.rm, login.ResourceManager(y.conf, addrs.Client).Names[0]
	}
	return s, nil
}

// forSubmission gives a submission its tokens, renewed by the ResourceManager, where any are needed. done is called with how
// it ended: tokens of an application that does not come to be are cancelled.
func (y *yarnCluster) forSubmission(ctx context.Context, r Request, sc *pb.ApplicationSubmissionContext) (done func(error), err error) {
	if !ipc.Secure(y.conf) {
		return func(error) {}, nil
	}
	renewer, err := y.renewer()
	if err != nil {
		return nil, err
	}
	d, err := y.delegate(ctx, r.needs(), renewer)
	if err != nil {
		return nil, err
	}
	done = func(err error) {
		if err != nil && !errors.Is(err, errUnknown) && d.own != nil {
			if e := d.own.Cancel(ctx); e != nil {
				y.opts.Log.Debug("delegation tokens that nobody needs could not be cancelled: they end by themselves", "err", e)
			}
		}
		d.close()
	}
	sc.AmContainerSpec.Tokens = d.all.Append(nil, token.V0)
	if d.passed { // they are others' as well: YARN cancels what it was given when the application ends
		sc.CancelTokensWhenComplete = proto.Bool(false)
	}
	return done, nil
}

// renewer is who renews the tokens of what is submitted.
func (y *yarnCluster) renewer() (string, error) {
	addrs, err := yarn.AddressesFromConf(y.conf)
	if err != nil {
		return "", wrap(Usage, "cannot tell where the ResourceManager is", err, "Correct yarn-site.xml")
	}
	return renewerOf(y.conf.String("yarn.resourcemanager.principal", ""), addrs.Client)
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

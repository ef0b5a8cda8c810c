package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// ensureRealm, where the composition has Kerberos, starts the KDC and gives every host its keytabs, before any daemon that
// needs one starts. It leaves all hosts running.
func (c *Cluster) ensureRealm(ctx context.Context) error {
	kdc, ok := c.spec.Composition.KDCHost()
	if !ok {
		return nil
	}
	if err := c.StartHost(ctx, kdc.Name); err != nil { // the database is made before the daemon starts
		return err
	}
	var hosts []string
	for _, k := range c.spec.Composition.Keytabs() {
		if !slices.Contains(hosts, k.Host) {
			hosts = append(hosts, k.Host)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, host := range hosts {
		group.Go(func() error {
			if err := c.boot(ctx, host); err != nil {
				return err
			}
			return c.giveKeytabs(ctx, kdc.Name, host)
		})
	}
	return group.Wait()
}

// giveKeytabs copies a host's keytabs from the KDC, with their owners and modes.
func (c *Cluster) giveKeytabs(ctx context.Context, kdc, host string) error {
	files, err := c.Output(ctx, kdc, "", "tar", "-C", layout.KDCData+"/keytabs/"+host, "-cf", "-", ".")
	if err != nil {
		return fmt.Errorf("take the keytabs of %s: %w", host, err)
	}
	err = c.pipe(ctx, Command{
		Host: host, Argv: []string{"tar", "-C", layout.KeytabDir, "--no-overwrite-dir", "-xpf", "-"}, Stdin: strings.NewReader(files),
	})
	if err == nil && c.spec.Composition.Kerberos.HTTPS { // everything on the host is to believe its own web servers
		err = c.pipe(ctx, Command{Host: host, Argv: []string{"ln", "-sf", layout.WebRoot, "/etc/ssl/certs/"}})
	}
	if err != nil {
		return fmt.Errorf("give %s its keytabs: %w", host, err)
	}
	return nil
}

// pipe runs a command with an input. A code other than 0 is an error that carries what it wrote.
func (c *Cluster) pipe(ctx context.Context, cmd Command) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	code, err := c.Exec(ctx, cmd)
	if err == nil && code != 0 {
		err = fmt.Errorf("%q on %s ended with exit code %d: %s", cmd.Argv, cmd.Host, code, bytes.TrimSpace(out.Bytes()))
	}
	return err
}

// asDaemon runs a command as the account of daemon d on its host h, and with Kerberos as its principal. stdin may be nil.
func (c *Cluster) asDaemon(ctx context.Context, h layout.Host, d layout.Daemon, stdin io.Reader, argv ...string) error {
	if principal := c.spec.Composition.Principal(h, d); principal != "" {
		argv = slices.Concat([]string{layout.BinDir + "/with-ticket", d.Keytab(), principal}, argv)
	}
	return c.pipe(ctx, Command{Host: h.Name, User: d.User, Argv: argv, Stdin: stdin})
}

// homesMade is the file on the (first) NameNode's host, beside its data, that says that the folders were made. To look is faster than a JVM.
const homesMade = "/data/dfs/homes-made"

// homesTimeout bounds one JVM on a busy machine.
const homesTimeout = 2 * time.Minute

// ensureSecureHomes creates the folders once, as the NameNode's own principal.
func (c *Cluster) ensureSecureHomes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, homesTimeout)
	defer cancel()
	host := c.spec.Composition.With(layout.NameNode)[0]
	if code, err := c.Exec(ctx, Command{Host: host.Name, Argv: []string{"test", "-e", homesMade}}); err != nil || code == 0 {
		return err
	}
	var list strings.Builder
	for _, f := range folders() {
		fmt.Fprintln(&list, f.path, f.owner, f.group, f.mode)
	}
	err := c.asDaemon(ctx, host, layout.NameNode, strings.NewReader(list.String()), "hadoop-java", "test.yarnd.Folders")
	if err == nil {
		_, err = c.Output(ctx, host.Name, layout.NameNode.User, "touch", homesMade)
	}
	if err != nil {
		return fmt.Errorf("create folders in HDFS: %w", err)
	}
	return nil
}

// Krb5Conf returns a krb5.conf for this machine, by which it reaches the cluster's KDC by address. It is nil in a
// composition without Kerberos.
func (c *Cluster) Krb5Conf() []byte {
	kdc, ok := c.spec.Composition.KDCHost()
	if !ok {
		return nil
	}
	return c.spec.Composition.Krb5Conf(c.Addr(kdc.Name))
}

// Keytab returns the keytab of a user ("alice"), as it is on the edge nodes.
func (c *Cluster) Keytab(ctx context.Context, user string) ([]byte, error) {
	text, err := c.Output(ctx, c.spec.Composition.Edges()[0].Name, "", "cat", layout.KeytabDir+"/"+user+".keytab")
	if err != nil {
		return nil, fmt.Errorf("read the keytab of %s: %w", user, err)
	}
	return []byte(text), nil
}

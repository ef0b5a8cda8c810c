package hdfs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/login"
)

const (
	defaultTimeout = 20 * time.Second
	// failoverTimeout is defaultTimeout where NameNodes are several, of which none may be active for a while: a minute and
	// more for one that hangs, as failover controllers are configured by default. Java's clients wait for longer than
	// this (15 attempts with up to 15 s between them, dfs.client.failover.max.attempts).
	failoverTimeout = 2 * time.Minute
	// answerMost bounds answerTime.
	answerMost = 5 * time.Second
	// stallTime is how long a DataNode may neither take nor give a byte:
	// Hadoop's dfs.client.socket-timeout and a little more.
	stallTime = 65 * time.Second
)

// Options say how to reach a file system. The zero value is who the environment
// says: see login.Find.
type Options struct {
	// Login is who we are. nil: login.Find finds out, with User, and the file
	// system closes it.
	Login *login.Identity
	// User is who we are where names are believed, instead of HADOOP_USER_NAME
	// or the account of the process, and whose the tokens are where we come
	// with tokens. Only without Login.
	User string
	// Timeout bounds each operation on metadata, all its attempts together; when
	// zero that is 20 s, and two minutes where there are several NameNodes, of
	// which one takes over from another meanwhile. Each of several gets a part of
	// it for each of its answers, 5 s at most: one that hangs leaves time for the
	// others.
	Timeout time.Duration
	// Dial makes all connections; nil is a plain TCP dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger receives repeated calls at debug level; nil discards them.
	Logger *slog.Logger
}

// Open returns the file system that a URL, or without one fs.defaultFS, names.
// The path of the URL does not matter. For HDFS it connects to a NameNode, so
// that one out of reach is an error now.
func Open(ctx context.Context, c *conf.Conf, rawURL string, opts Options) (FS, error) {
	l, err := target(c, rawURL)
	if err != nil {
		return nil, err
	}
	switch l.scheme {
	case "file":
		return NewLocal(LocalOptions{Home: localHome(c, opts.User)}), nil
	case "hdfs":
		r, err := newRemote(c, l.authority, opts)
		if err != nil {
			return nil, err
		}
		err = r.call(ctx, "connect to", "", func(*client, int) error { return nil })
		if err == nil && r.transfer.Encrypt { // a NameNode that has no key is told of before anything is sent
			_, err = r.encryptionKey(ctx)
		}
		if err != nil {
			r.Close()
			return nil, err
		}
		return r, nil
	}
	return nil, &Error{Op: "open", Path: l.scheme + "://" + l.authority, Kind: ErrUnsupported,
		Detail: fmt.Sprintf("the scheme %q is not known here, only hdfs and file are", l.scheme),
		Hint:   "name a directory by its hdfs:// URL, or set fs.defaultFS (now from " + c.Origin("fs.defaultFS") + ")"}
}

// localHome is the user's directory on the local disk, where the configuration names one; else "".
// Hadoop's own local file system takes the account's home and has no key for it; this is HDFS's.
func localHome(c *conf.Conf, user string) string {
	prefix := c.String("dfs.user.home.dir.prefix", "")
	if prefix == "" || c.Origin("dfs.user.home.dir.prefix") == "default" {
		return ""
	}
	who, err := login.Find(c.With(map[string]string{"hadoop.security.authentication": "simple"}), login.Options{User: user})
	if err != nil {
		return ""
	}
	return path.Join("/", prefix, who.User())
}

// target completes a URL from fs.defaultFS.
func target(c *conf.Conf, rawURL string) (location, error) {
	def, err := parseName(strings.TrimSuffix(c.String("fs.defaultFS", "file:///"), "/") + "/")
	if err == nil && def.scheme == "" {
		err = &Error{Op: "open", Path: def.path, Kind: ErrUnsupported,
			Detail: "fs.defaultFS (from " + c.Origin("fs.defaultFS") + ") is no URL such as hdfs://namenode:8020"}
	}
	if err != nil || rawURL == "" {
		return def, err
	}
	l, err := parseName(rawURL)
	if err != nil {
		return l, err
	}
	if l.scheme == "" {
		return def, nil
	}
	if l.authority == "" && l.scheme == "hdfs" {
		if def.scheme != "hdfs" {
			return l, &Error{Op: "open", Path: rawURL, Kind: ErrUnsupported,
				Detail: "it names no NameNode, and fs.defaultFS (from " + c.Origin("fs.defaultFS") + ") is not HDFS"}
		}
		l.authority = def.authority
	}
	return l, nil
}

func newRemote(c *conf.Conf, authority string, opts Options) (*remote, error) {
	addresses, err := NameNodes(c, authority)
	if err != nil {
		return nil, err
	}
	who, own := opts.Login, (*login.Identity)(nil)
	if who == nil {
		if who, err = login.Find(c, login.Options{User: opts.User}); err != nil {
			return nil, &Error{Op: "open", Path: "hdfs://" + authority, Kind: ErrAuth, Err: err}
		}
		own = who
	}
	r, err := remoteFor(c, authority, addresses, who, opts)
	switch {
	case err == nil:
		r.own = own
	case own != nil:
		own.Close()
	}
	return r, err
}

// remoteFor is newRemote for somebody.
func remoteFor(c *conf.Conf, authority string, addresses []string, who *login.Identity, opts Options) (*remote, error) {
	user := who.User()
	r := &remote{user: user, who: who, timeout: opts.Timeout, log: opts.Logger}
	r.names = names{scheme: "hdfs", authority: cmp.Or(login.NameService(c, authority), authority), home: c.String("dfs.user.home.dir.prefix", "/user") + "/" + user}
	var err error
	if r.byName, err = c.Bool("dfs.client.use.datanode.hostname", false); err != nil {
		return nil, err
	}
	if r.replication, err = explicit(c, "dfs.replication", c.Int); err != nil {
		return nil, err
	}
	if r.blockSize, err = explicit(c, "dfs.blocksize", c.Bytes); err != nil {
		return nil, err
	}
	if r.keys, err = keyProviderOf(c); err != nil {
		return nil, err
	}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
		if len(addresses) > 1 {
			r.timeout = failoverTimeout
		}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	dial := opts.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	r.service = login.NameNode(c, authority, addresses)
	answer := answerTime(r.timeout, len(addresses))
	rpc, err := who.IPC(ipc.Options{ConnectTimeout: answer, CallTimeout: answer, RetryFor: r.timeout,
		IdleTimeout: idleTime, Dial: dial, Logger: r.log}, c, r.service)
	if err != nil {
		return nil, &Error{Op: "open", Path: "hdfs://" + authority, Kind: ErrAuth, Err: err}
	}
	r.pool = &pool{
		addresses: addresses,
		options:   hdfs.ClientOptions{User: user},
		dial:      dialOptions{dial: dial, answer: answer, stall: stallTime},
	}
	if err := r.secure(c, rpc); err != nil {
		return nil, err
	}
	r.proxy = ipc.NewProxy(addresses, clientProtocol, rpc)
	r.pool.proxy = r.proxy
	return r, nil
}

// answerTime is how long a NameNode may take to accept a connection, and for an answer, of all the time that an
// operation has: whoever is alone gets all of it, of several each can be asked twice. Java's clients wait two minutes
// (ipc.client.rpc-timeout.ms) for one that is stopped, whoever else is active.
func answerTime(all time.Duration, nameNodes int) time.Duration {
	if nameNodes == 1 {
		return all
	}
	return min(all/time.Duration(2*nameNodes), answerMost)
}

// explicit reads a key that counts only when somebody set it: where nobody
// did, the server's own default is better than ours.
func explicit[T int | int64](c *conf.Conf, key string, read func(string, T) (T, error)) (T, error) {
	if c.Origin(key) == "default" {
		return 0, nil
	}
	return read(key, 0)
}

// NameNodes returns the addresses, with ports, behind the authority of an hdfs URL: a host, or a nameservice with one
// NameNode or several. It asks nobody.
func NameNodes(c *conf.Conf, authority string) ([]string, error) {
	fail := func(detail, hint string) error {
		return &Error{Op: "open", Path: "hdfs://" + authority, Kind: ErrUnreachable, Detail: detail, Hint: hint}
	}
	if authority == "" {
		return nil, fail("the URL names no NameNode", "set fs.defaultFS to hdfs://HOST:PORT or hdfs://NAMESERVICE")
	}
	service := login.NameService(c, authority)
	if service == "" {
		return []string{withPort(authority)}, nil
	}
	suffixes := []string{service}
	if ids := c.Strings("dfs.ha.namenodes." + service); len(ids) > 0 {
		suffixes = suffixes[:0]
		for _, id := range ids {
			suffixes = append(suffixes, service+"."+id)
		}
	}
	var addresses []string
	for _, s := range suffixes {
		key := "dfs.namenode.rpc-address." + s
		addr := c.String(key, "")
		if addr == "" {
			return nil, fail(key+" is not set", "add it to hdfs-site.xml")
		}
		if !slices.Contains(addresses, withPort(addr)) {
			addresses = append(addresses, withPort(addr))
		}
	}
	return addresses, nil
}

package login

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/authtolocal"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// findByTokens finds who we are by a file of tokens: whose they are, whatever account reads it. Where none of them tells, it is
// who the environment says; in a container that is YARN's word, which counts also where a token cannot be read.
func (i *Identity) findByTokens(c *conf.Conf, o Options, getenv func(string) string) error {
	if o.User != "" {
		i.user = o.User
		return nil
	}
	said := getenv(UserVar)
	of, err := i.owner(c)
	if err == nil && of.principal != "" {
		i.user, err = i.shortOwner(c, of, getenv)
	}
	inContainer := getenv("CONTAINER_ID") != "" && getenv("USER") != ""
	if err != nil && !inContainer {
		return err
	}
	if err != nil || of.principal == "" {
		i.user = cmp.Or(said, getenv("USER"), account(getenv))
		return nil
	}
	if said != "" && said != i.user {
		return &Error{Reason: fmt.Sprintf("HADOOP_USER_NAME is %s, and the token of %s in %s is %s's", said, of.service, i.file, i.user),
			Cure: "run: unset " + UserVar + "; or have " + TokenFileVar + " name a file of tokens of " + said + "'s"}
	}
	return nil
}

// belonging is whose a token is.
type belonging struct {
	principal string // its owner, or his short name; "": there is no token
	service   string // of the token, for messages
}

// owner is whose the token of the default file system is, or where there is none the ResourceManager's.
func (i *Identity) owner(c *conf.Conf) (of belonging, err error) {
	if s, ok := i.defaultFS(c); ok {
		if t, ok := i.Token(s); ok {
			d, err := token.ParseDelegation(t.Identifier)
			return i.belonging(d.Owner, s.What, err)
		}
	}
	for _, t := range i.tokens.All(token.KindRM) {
		var id pb.DelegationTokenIdentifier
		err := proto.Unmarshal(t.Identifier, &id)
		one, err := i.belonging(id.GetOwner(), "the ResourceManager", err)
		if err != nil {
			return one, err
		}
		if of.principal != "" && of != one {
			return of, &Error{Reason: fmt.Sprintf("tokens of the ResourceManager in %s are %s's and %s's", i.file, of.principal, one.principal),
				Cure: "have " + TokenFileVar + " name a file of one user's tokens"}
		}
		of = one
	}
	return of, nil
}

// belonging checks what a token says. Who acted for its owner when it was issued does not matter: a token without an owner is
// nobody's, and no server takes it. Source: AbstractDelegationTokenIdentifier.getUser, YARNDelegationTokenIdentifier.getUser.
func (i *Identity) belonging(owner, service string, err error) (belonging, error) {
	of := belonging{owner, service}
	switch {
	case err != nil:
	case owner == "":
		err = errors.New("it has no owner")
	case !utf8.ValidString(owner) || strings.ContainsFunc(owner, unicode.IsControl):
		err = fmt.Errorf("%q is nobody's name", owner)
	}
	if err != nil {
		return of, &Error{Reason: fmt.Sprintf("the token of %s in %s does not say whose it is", service, i.file), Err: err,
			Cure: "get tokens anew, in a workflow by running the step again; or run: unset " + TokenFileVar + "; kinit"}
	}
	return of, nil
}

// shortOwner is the short name of a token's owner. Where krb5.conf tells no default realm it is the owner's: a service gives no
// tokens to whom it has no short name for, so he is of the cluster's default realm, or there is a rule for his.
func (i *Identity) shortOwner(c *conf.Conf, of belonging, getenv func(string) string) (string, error) {
	if krb, err := krb5.LoadConfig(getenv); err == nil {
		i.realm = krb.DefaultRealm
	}
	_, realm, _ := strings.Cut(of.principal, "@")
	rules, err := authtolocal.FromConf(c, cmp.Or(i.realm, realm))
	name := ""
	if err == nil {
		name, err = rules.ShortName(of.principal)
	}
	if err == nil && name == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", &Error{Reason: fmt.Sprintf("nobody knows the short name of %s, whose the token of %s in %s is", of.principal, of.service, i.file),
			Cure: "hadoop.security.auth_to_local must be the cluster's own, and default_realm in krb5.conf its realm", Err: err}
	}
	return name, nil
}

// defaultFS is the service of the default file system, if that is an HDFS and there are tokens of one: to tell whether they
// are for it names may have to be resolved.
func (i *Identity) defaultFS(c *conf.Conf) (Service, bool) {
	u, err := url.Parse(c.String("fs.defaultFS", "file:///"))
	if _, has := i.tokens.Select(token.KindHDFS); !has || err != nil || !strings.EqualFold(u.Scheme, "hdfs") || u.Host == "" {
		return Service{}, false
	}
	authority := strings.ToLower(u.Host)
	address := authority
	if service := NameService(c, authority); service != "" {
		address = c.String("dfs.namenode.rpc-address."+service, "")
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, NameNodePort)
	}
	return NameNode(c, authority, []string{address}), true
}

package login

import (
	"cmp"
	"fmt"
	"os"
	"os/user"

	"github.com/yarnd/yarnd/hadooprpc/authtolocal"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
)

// Variables of the environment, Hadoop's own.
const (
	TokenFileVar = "HADOOP_TOKEN_FILE_LOCATION" // file of tokens
	UserVar      = "HADOOP_USER_NAME"           // who we say we are, where names are believed
	ProxyUserVar = "HADOOP_PROXY_USER"          // whom we act for
)

// Options say who one wants to be. The zero value is who the environment says.
type Options struct {
	User      string              // instead of the name that would be found, where names are believed, or are a token's
	Principal string              // of the Keytab, "alice@EXAMPLE.COM" or "alice"
	Keytab    string              // file of keys; "": the ticket cache
	ProxyUser string              // whom to act for; "": $HADOOP_PROXY_USER, else nobody
	Getenv    func(string) string // nil: os.Getenv
}

// Find finds who this process is. Without Kerberos that is a name, and nothing else is looked at. With it, it is the owner of
// the keytab; or whose the tokens in a token file are, as that of the default file system says, or the ResourceManager's, unless
// KRB5CCNAME names a ticket cache: the one of this account may be somebody else's, such as the node manager's; or the owner of
// the ticket cache. Who has tickets uses these alone: with a token one gets no others. Errors are *krb5.Error or *Error. The
// caller closes it.
func Find(c *conf.Conf, o Options) (*Identity, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	if (o.Principal == "") != (o.Keytab == "") {
		return nil, &Error{Reason: "a principal and a keytab belong together", Cure: "give both or neither"}
	}
	i := &Identity{}
	if path := getenv(TokenFileVar); path != "" && ipc.Secure(c) && o.Keytab == "" && getenv("KRB5CCNAME") == "" {
		i.file = path
		if err := i.reload(); err != nil {
			return nil, &Error{Reason: "the tokens that " + TokenFileVar + " names cannot be read", Err: err}
		}
	}
	if err := i.find(c, o, getenv); err != nil {
		i.Close()
		return nil, err
	}
	if proxy := cmp.Or(o.ProxyUser, getenv(ProxyUserVar)); proxy != "" && proxy != i.user {
		if i.tokens != nil { // a token is one user's, and no server lets it act for another
			i.Close()
			return nil, &Error{Reason: fmt.Sprintf("we are to act for %s, and the tokens in %s are %s's", proxy, i.file, i.user),
				Cure: "have the tokens be " + proxy + "'s; or run: unset " + TokenFileVar + "; kinit"}
		}
		if i.principal == "" {
			i.principal = i.user
		}
		i.user, i.proxied = proxy, true
	}
	return i, nil
}

func (i *Identity) find(c *conf.Conf, o Options, getenv func(string) string) error {
	switch {
	case !ipc.Secure(c):
		i.user = cmp.Or(o.User, getenv(UserVar), account(getenv))
		return nil
	case i.tokens != nil:
		return i.findByTokens(c, o, getenv)
	}
	krb, err := krb5.LoadConfig(getenv)
	if err != nil {
		return err
	}
	if i.own, err = openTickets(krb, o, getenv); err != nil {
		return err
	}
	i.tickets, i.principal = sasl.TicketSource(i.own), i.own.Principal()
	i.realm = krb.DefaultRealm
	rules, err := authtolocal.FromConf(c, i.realm)
	if err == nil {
		i.user, err = rules.ShortName(i.principal)
	}
	if err != nil {
		return &Error{Reason: fmt.Sprintf("nobody knows the short name of %s", i.principal),
			Cure: "hadoop.security.auth_to_local must be the cluster's own, and default_realm in krb5.conf its realm", Err: err}
	}
	return nil
}

func openTickets(krb *krb5.Config, o Options, getenv func(string) string) (*krb5.Login, error) {
	if o.Keytab != "" {
		return krb5.FromKeytab(krb, o.Keytab, o.Principal)
	}
	path, err := krb5.CachePath(getenv, krb)
	if err != nil {
		return nil, err
	}
	return krb5.FromCache(krb, path)
}

// account is the operating system's user.
func account(getenv func(string) string) string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return getenv("USER")
}

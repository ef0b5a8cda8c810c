package edgeclient

import (
	"errors"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
)

// logIn finds who we are to a cluster.
func logIn(c *conf.Conf, opts Options) (*login.Identity, error) {
	who, err := login.Find(c, login.Options{Principal: opts.Principal, Keytab: opts.Keytab, ProxyUser: opts.ProxyUser})
	return who, loginFault("cannot log in to the cluster", err)
}

// loginFault gives an error of authentication a person's words; any other stays as it is.
func loginFault(what string, err error) error {
	krb, ours, peer := (*krb5.Error)(nil), (*login.Error)(nil), (*sasl.Error)(nil)
	switch {
	case errors.As(err, new(*Fault)):
		return err
	case errors.As(err, &krb):
		return krb5Fault(what, krb)
	case errors.As(err, &ours):
		return &Fault{Code: Auth, What: what, Why: &login.Error{Reason: ours.Reason, Err: ours.Err}, Next: sentence(ours.Cure)}
	case errors.Is(err, gssapi.ErrKeyType):
		return &Fault{Code: Auth, What: what, Why: err, Next: "Ask for AES keys of the service (docs/kerberos.md); older types are not used"}
	case errors.As(err, &peer):
		return &Fault{Code: Auth, What: what, Why: err, Next: "Check that HADOOP_CONF_DIR is that of your cluster; what it means is in docs/kerberos.md"}
	}
	return err
}

// krb5Fault is that there is no ticket.
func krb5Fault(what string, e *krb5.Error) *Fault {
	code := Auth
	if e.Temporary() {
		code = TimedOut
	}
	next := e.Cure
	if next == "" {
		next = "Show this to an administrator of the realm"
	}
	return &Fault{Code: code, What: what, Why: &krb5.Error{Kind: e.Kind, Reason: e.Reason, Err: e.Err}, Next: sentence(next)}
}

// sentence begins with a capital letter, as the advice of a Fault does.
func sentence(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

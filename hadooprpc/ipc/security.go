package ipc

import (
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// Secure tells whether the configuration wants more than a name: hadoop.security.authentication is another than simple.
func Secure(c *conf.Conf) bool {
	return !strings.EqualFold(c.String("hadoop.security.authentication", "simple"), "simple")
}

// WithSecurity returns o for servers whose principal a key of the configuration names, such as
// "dfs.namenode.kerberos.principal": on a cluster with Kerberos they must authenticate, as that principal, with the
// protection of hadoop.rpc.protection at least. tickets may be nil where o has a token. On a cluster without Kerberos
// it is o as it was.
func (o Options) WithSecurity(c *conf.Conf, key string, tickets sasl.TicketSource) (Options, error) {
	if !Secure(c) {
		return o, nil
	}
	least, err := sasl.ParseProtection(c.String("hadoop.rpc.protection", "authentication"))
	if err != nil {
		return o, err
	}
	o.Secure, o.MinQOP = true, least
	if tickets != nil {
		o.Kerberos = &sasl.KerberosMechanism{Tickets: tickets, MinQOP: least,
			Service: sasl.Service{Principal: c.String(key, ""), Pattern: c.String(key+".pattern", ""), Key: key}}
	}
	return o, nil
}

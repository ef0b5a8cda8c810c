// Package krb5 is where Kerberos tickets come from: the ticket cache that kinit filled, or a keytab, by the machine's
// krb5.conf. It is what MIT's library does for a C program, as far as a Hadoop client needs it:
//
//	KRB5_CONFIG, krb5.conf, include, includedir  →  Config
//	KRB5CCNAME, default_ccache_name              →  FromCache   ┐
//	a keytab and a principal                     →  FromKeytab  ┴→  Login  →  tickets for services
//	                                                                  ↕
//	                                            AS and TGS exchanges (exchange.go) over the network (kdc.go)
//
// Messages, formats and ciphers are those of jcmturner/gokrb5, which this package puts into bounds: files are checked before
// they are given to it (it indexes what it reads without looking), what it reads cannot panic, includes are resolved (it
// ignores them), parts of krb5.conf that it does not know are left out (some make it panic), and what it says went wrong is
// told with a cure. Its client is not used (exchange.go says why).
package krb5

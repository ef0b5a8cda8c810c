package token

import (
	"fmt"
	"time"
)

// Delegation is what the identifier of an HDFS delegation token, and of a KMS's, tells. Nothing of it is secret, and
// nothing is proven by it.
//
// Source: org.apache.hadoop.security.token.delegation.AbstractDelegationTokenIdentifier.
type Delegation struct {
	Owner, Renewer, RealUser string // principals or short names; RealUser is "" unless the owner was acted for
	Issued, Max              time.Time
	Sequence                 int64
}

// ParseDelegation reads the identifier of a delegation token.
func ParseDelegation(identifier []byte) (Delegation, error) {
	r := &reader{b: identifier}
	if len(r.b) == 0 || r.b[0] != 0 {
		return Delegation{}, fmt.Errorf("token: a delegation token's identifier that does not begin with version 0")
	}
	r.b = r.b[1:]
	d := Delegation{Owner: r.text(), Renewer: r.text(), RealUser: r.text()}
	d.Issued, d.Max = time.UnixMilli(r.vint()), time.UnixMilli(r.vint())
	d.Sequence = r.vint()
	r.vint() // of the master key
	if r.err != nil {
		return Delegation{}, fmt.Errorf("token: a delegation token's identifier: %w", r.err)
	}
	return d, nil
}

// Append appends the identifier of a delegation token, as an issuer makes it. For tests.
func (d Delegation) Append(dst []byte) []byte {
	dst = append(dst, 0) // version
	for _, text := range []string{d.Owner, d.Renewer, d.RealUser} {
		dst = appendText(dst, text)
	}
	const masterKey = 2
	for _, n := range []int64{d.Issued.UnixMilli(), d.Max.UnixMilli(), d.Sequence, masterKey} {
		dst = appendVInt(dst, n)
	}
	return dst
}

// Delegated returns a copy with the tokens by which one acts for somebody at a service of the cluster, and nothing that
// YARN gave for its own protocols: no AMRM, container, node manager or client token, and no secrets.
func (c *Credentials) Delegated() *Credentials {
	d := c.Without(KindAMRM, KindNM, KindContainer, KindClientToAM)
	d.Secrets = nil
	return d
}

// Merge puts all tokens of d into c, each in place of those for the same kind and service, under the alias of one of them.
func (c *Credentials) Merge(d *Credentials) {
	for alias, t := range d.All("") {
		for old, u := range c.All(t.Kind) {
			if u.Service == t.Service {
				delete(c.Tokens, old)
				alias = old
			}
		}
		c.Add(alias, t)
	}
}

package gssapi

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Issuer is a realm for tests: it gives tickets to whoever asks, and acceptors to services, without a KDC or any
// network. It is safe for concurrent use.
type Issuer struct {
	Realm   string
	KeyType int32            // of all keys; one of SupportedTypes
	Life    time.Duration    // of tickets
	Now     func() time.Time // nil: time.Now

	mu   sync.Mutex
	keys map[string]Key // by service, without the realm
}

// key is that of a service, made when it is first asked for.
func (r *Issuer) key(service string) Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[string]Key{}
	}
	if _, ok := r.keys[service]; !ok {
		r.keys[service] = newKey(r.KeyType)
	}
	return r.keys[service]
}

// Acceptor is a service's, such as "nn/host": its own key alone opens tickets.
func (r *Issuer) Acceptor(service string) *Acceptor {
	return &Acceptor{ServiceKey: func(name types.PrincipalName, realm string, _ int, keyType int32) (Key, error) {
		if name.PrincipalNameString() != service || realm != r.Realm || keyType != r.KeyType {
			return Key{}, fmt.Errorf("gssapi: a ticket for %s@%s, and this is %s", name.PrincipalNameString(), realm, service)
		}
		return r.key(service), nil
	}}
}

// Ticket is client's for service, neither with a realm.
func (r *Issuer) Ticket(client, service string) (Credential, error) {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	cname, sname := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, client), types.NewPrincipalName(nametype.KRB_NT_SRV_HST, service)
	session, at := newKey(r.KeyType), now().UTC().Truncate(time.Second)
	b, err := asn1.Marshal(messages.EncTicketPart{Flags: types.NewKrbFlags(), Key: session, CRealm: r.Realm, CName: cname,
		Transited: messages.TransitedEncoding{}, AuthTime: at, StartTime: at, EndTime: at.Add(r.Life)})
	if err != nil {
		return Credential{}, err
	}
	key, err := newUsageKey(r.key(service), keyusage.KDC_REP_TICKET)
	if err != nil {
		return Credential{}, err
	}
	sealed, err := key.seal(nil, asn1tools.AddASNAppTag(b, asnAppTag.EncTicketPart))
	if err != nil {
		return Credential{}, err
	}
	return Credential{Key: session, Client: cname, Realm: r.Realm, Ticket: messages.Ticket{TktVNO: iana.PVNO, Realm: r.Realm, SName: sname,
		EncPart: types.EncryptedData{EType: r.KeyType, KVNO: 1, Cipher: sealed}}}, nil
}

// Keytab is a file with a key of a client's, "alice".
func (r *Issuer) Keytab(client string) ([]byte, error) {
	kt := keytab.New()
	if err := kt.AddEntry(client, r.Realm, "secret", time.Now(), 1, r.KeyType); err != nil {
		return nil, err
	}
	return kt.Marshal()
}

// Tickets are all that one client can get.
type Tickets struct {
	Issuer *Issuer
	Client string // "alice"
}

// ServiceTicket is one for service, whose realm must be the issuer's.
func (t Tickets) ServiceTicket(_ context.Context, service string) (Credential, error) {
	name, realm, ok := strings.Cut(service, "@")
	if ok && realm != t.Issuer.Realm {
		return Credential{}, fmt.Errorf("gssapi: no tickets for the realm %s", realm)
	}
	return t.Issuer.Ticket(t.Client, name)
}

package yarnd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
)

// keytabTickets are tickets by the owner's keytab, on a node whose krb5.conf may be missing, or damaged: there are none then,
// with which an application master lives as without a KDC, and the file is read anew when the next is asked for. It need not have a
// default realm: the principal names its own, and its short name is known since submit. It is safe for concurrent use.
type keytabTickets struct {
	principal, file string

	mu     sync.Mutex
	own    *krb5.Login // nil: not there yet
	closed bool
}

var (
	_ sasl.TicketSource = (*keytabTickets)(nil)
	_ sasl.Forgetter    = (*keytabTickets)(nil)
)

// ServiceTicket implements sasl.TicketSource.
func (k *keytabTickets) ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error) {
	own, err := k.login()
	if err != nil {
		return gssapi.Credential{}, err
	}
	return own.ServiceTicket(ctx, service)
}

// Forget implements sasl.Forgetter.
func (k *keytabTickets) Forget(service string, refused gssapi.Credential) bool {
	k.mu.Lock()
	own := k.own
	k.mu.Unlock()
	return own != nil && own.Forget(service, refused)
}

func (k *keytabTickets) login() (*krb5.Login, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return nil, errors.New("the keytab was closed")
	case k.own != nil:
		return k.own, nil
	}
	c, err := krb5.LoadConfig(os.Getenv)
	if err == nil {
		k.own, err = krb5.FromKeytab(c, k.file, k.principal)
	}
	if err != nil { // who reads this sits elsewhere, where things are well
		node, _ := os.Hostname()
		return nil, fmt.Errorf("on %s, where the application master runs: %w", node, err)
	}
	return k.own, nil
}

// Close forgets all keys. It may be called twice.
func (k *keytabTickets) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.own == nil {
		return nil
	}
	return k.own.Close()
}

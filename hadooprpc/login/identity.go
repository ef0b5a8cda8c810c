package login

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Identity is who a process is. Who has tickets and tokens shows a ticket, and a token where none can be got. It is safe
// for concurrent use.
type Identity struct {
	user      string // short name, of whom we act for
	principal string // of the tickets; "" without
	realm     string // the default one of krb5.conf; "" where it was not read, or has none
	proxied   bool   // user is not who the tickets are of
	tickets   sasl.TicketSource
	own       *krb5.Login // the tickets, where Close ends them; may be nil

	mu     sync.Mutex
	tokens *token.Credentials // not changed once it is here
	file   string             // where they are from, and newer ones come; "": from nowhere
	read   os.FileInfo        // of file when it was read
}

// With is the identity of who has tickets, or tokens, or both: for programs that have got them by themselves. user is the
// short name of whose they are. Close leaves the tickets alone.
func With(user string, tickets sasl.TicketSource, tokens *token.Credentials) *Identity {
	return &Identity{user: user, tickets: tickets, tokens: tokens}
}

// TicketsAlone is the same identity without its tokens: who shows a token gets no others. Close leaves the tickets alone.
func (i *Identity) TicketsAlone() *Identity {
	return &Identity{user: i.user, principal: i.principal, realm: i.realm, proxied: i.proxied, tickets: i.tickets}
}

// User is the short name of whom we act for: the owner of what we make.
func (i *Identity) User() string { return i.user }

// Principal is who the tickets are of, "alice@EXAMPLE.COM"; "" where there are none of our own.
func (i *Identity) Principal() string { return i.principal }

// Realm is the default realm of krb5.conf, by which principals become short names; "" where it has none, or there was no
// need to read it.
func (i *Identity) Realm() string { return i.realm }

// Proxied tells that we act for somebody else than the tickets are of.
func (i *Identity) Proxied() bool { return i.proxied }

// Ticketed tells whether there are tickets: who has only tokens gets no others.
func (i *Identity) Ticketed() bool { return i.tickets != nil }

// Tickets are where our tickets come from; nil where there are none.
func (i *Identity) Tickets() sasl.TicketSource { return i.tickets }

// Expires is when the ticket in the cache ends, and until when it can be renewed; zero with a keytab, and without tickets
// of our own.
func (i *Identity) Expires() (ends, renewable time.Time) {
	if i.own == nil {
		return time.Time{}, time.Time{}
	}
	return i.own.Expires()
}

// SetTokens has all new connections authenticate by other tokens; those that there are go on as they are. The
// credentials are not to be changed afterwards.
func (i *Identity) SetTokens(c *token.Credentials) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens, i.file = c, ""
}

// Tokens are the tokens that there are now; nil for none. They are not to be changed. Those from a file are read anew when
// it is another: who gave them to this process gives newer ones there.
func (i *Identity) Tokens() *token.Credentials {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.file != "" {
		i.reload() //nolint:errcheck // what was read still serves
	}
	return i.tokens
}

// fromFile tells that the tokens are those of a file.
func (i *Identity) fromFile() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.file != ""
}

// reload reads the file of tokens, if it is another than the one that was read.
func (i *Identity) reload() error {
	now, err := os.Stat(i.file)
	if err == nil && i.read != nil && os.SameFile(now, i.read) && now.ModTime().Equal(i.read.ModTime()) && now.Size() == i.read.Size() {
		return nil
	}
	tokens, err := token.ReadFile(i.file)
	if err != nil {
		return err
	}
	i.tokens, i.read = tokens, now
	return nil
}

// Service is what one connects to.
type Service struct {
	Key   string   // of the configuration that has its principal: "dfs.namenode.kerberos.principal"
	Kind  string   // of its tokens; "" where it takes none
	Names []string // of the service in its tokens, any of them
	What  string   // for messages: "hdfs://ns1"
}

// Token is the newest token for a service, by when it was issued where tokens tell.
func (i *Identity) Token(s Service) (newest token.Token, found bool) {
	c := i.Tokens()
	if c == nil || s.Kind == "" {
		return token.Token{}, false
	}
	var issued time.Time
	for _, name := range s.Names {
		for _, t := range c.All(s.Kind) {
			if !strings.EqualFold(t.Service, name) {
				continue
			}
			d, err := token.ParseDelegation(t.Identifier)
			if !found || err == nil && d.Issued.After(issued) {
				newest, found, issued = t, true, d.Issued
			}
		}
	}
	return newest, found
}

// IPC completes o for a service: who calls, and on a cluster with Kerberos how he proves it, and what the server must
// prove. A token comes before tickets, where there is one. An error says that there is neither.
func (i *Identity) IPC(o ipc.Options, c *conf.Conf, s Service) (ipc.Options, error) {
	o.User = i.user
	if i.proxied {
		o.RealUser = i.principal
	}
	if !ipc.Secure(c) {
		return o, nil
	}
	_, has := i.Token(s)
	if !has && i.tickets == nil {
		cure := "run: kinit; or give --principal and --keytab"
		if i.fromFile() { // which comes before a ticket
			cure = "have the workflow's step get one; or run: unset " + TokenFileVar + "; kinit"
		}
		return o, &Error{Reason: fmt.Sprintf("there is no ticket, and no token for %s", s.What), Cure: cure}
	}
	if s.Kind != "" {
		o.Tokens = func() (token.Token, bool) { return i.Token(s) }
	}
	return o.WithSecurity(c, s.Key, i.tickets)
}

// Close forgets tickets of our own. It may be called twice.
func (i *Identity) Close() error {
	if i.own == nil {
		return nil
	}
	return i.own.Close()
}

// Error tells what failed, and what to do.
type Error struct {
	Reason string
	Cure   string // may be empty
	Err    error  // may be nil
}

func (e *Error) Error() string {
	s := e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Cure != "" {
		s += ": " + e.Cure
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

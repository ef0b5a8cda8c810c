package gssapi

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	krbasn1 "github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// skew is by how much the clocks of both sides may differ.
const skew = 5 * time.Minute

// Acceptor is the server's half of a context: Accept with the initiator's token. It is used by one goroutine, once.
// It keeps no memory of authenticators, so a token that somebody has overheard is accepted again while it is fresh;
// he cannot speak on, for he does not have the key.
type Acceptor struct {
	// ServiceKey is the key of the service that a ticket is for: its name, realm, and the key's version and type.
	ServiceKey func(service types.PrincipalName, realm string, version int, keyType int32) (Key, error)
	// Subkey has the acceptor choose the key of what follows. Otherwise that is the initiator's choice, as with Java's
	// acceptors by default.
	Subkey bool

	client types.PrincipalName
	realm  string
	sealed *Messages
}

// Accept checks token and returns the answer.
func (a *Acceptor) Accept(token []byte, now time.Time) ([]byte, error) {
	body, err := unframe(idAPReq, token)
	if err != nil {
		return nil, err
	}
	var req messages.APReq
	if err := safely(func() error { return req.Unmarshal(body) }); err != nil {
		return nil, fmt.Errorf("gssapi: AP-REQ: %w", err)
	}
	if err := safely(func() error { return a.decrypt(&req) }); err != nil {
		return nil, err
	}
	if err := check(&req, now); err != nil {
		return nil, err
	}
	ticket := req.Ticket.DecryptedEncPart
	a.client, a.realm = ticket.CName, ticket.CRealm
	part := messages.EncAPRepPart{CTime: req.Authenticator.CTime, Cusec: req.Authenticator.Cusec, SequenceNumber: randomSeq()}
	session := req.Authenticator.SubKey
	if a.Subkey {
		part.Subkey = newKey(ticket.Key.KeyType)
		session = part.Subkey
	} else if len(session.KeyValue) == 0 {
		session = ticket.Key
	}
	out, err := answer(part, ticket.Key)
	if err != nil {
		return nil, err
	}
	a.sealed, err = newMessages(session, true, a.Subkey, uint64(part.SequenceNumber), uint64(uint32(req.Authenticator.SeqNumber)))
	return out, err
}

// decrypt opens the ticket with the service's key, and the authenticator with the ticket's.
func (a *Acceptor) decrypt(req *messages.APReq) error {
	t := &req.Ticket
	key, err := a.ServiceKey(t.SName, t.Realm, t.EncPart.KVNO, t.EncPart.EType)
	if err != nil {
		return err
	}
	if _, err := cipherOf(key); err != nil {
		return err
	}
	if err := t.Decrypt(key); err != nil {
		return err
	}
	if _, err := cipherOf(t.DecryptedEncPart.Key); err != nil {
		return err
	}
	return req.DecryptAuthenticator(t.DecryptedEncPart.Key)
}

// check is whether the authenticator belongs to the ticket, and both to this time.
func check(req *messages.APReq, now time.Time) error {
	t, auth := req.Ticket.DecryptedEncPart, req.Authenticator
	switch {
	case !auth.CName.Equal(t.CName) || auth.CRealm != t.CRealm:
		return errors.New("gssapi: the authenticator is of another client than the ticket")
	case now.Sub(auth.CTime).Abs() > skew:
		return fmt.Errorf("gssapi: clock skew too great: the client's clock says %s", auth.CTime.UTC().Format(time.RFC3339))
	case now.After(t.EndTime.Add(skew)):
		return errors.New("gssapi: the ticket has expired")
	case !t.StartTime.IsZero() && now.Before(t.StartTime.Add(-skew)):
		return errors.New("gssapi: the ticket is not valid yet")
	case auth.Cksum.CksumType != chksumtype.GSSAPI || len(auth.Cksum.Checksum) < 24:
		return errors.New("gssapi: the authenticator has no flags")
	case binary.LittleEndian.Uint32(auth.Cksum.Checksum[20:])&flagMutual == 0:
		return errors.New("gssapi: the client does not ask for mutual authentication")
	}
	return nil
}

// answer is the AP-REP that holds part.
func answer(part messages.EncAPRepPart, session Key) ([]byte, error) {
	b, err := krbasn1.Marshal(part)
	if err != nil {
		return nil, err
	}
	key, err := newUsageKey(session, keyusage.AP_REP_ENCPART)
	if err != nil {
		return nil, err
	}
	cipher, err := key.seal(nil, asn1tools.AddASNAppTag(b, asnAppTag.EncAPRepPart))
	if err != nil {
		return nil, err
	}
	rep, err := krbasn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP,
		EncPart: types.EncryptedData{EType: session.KeyType, Cipher: cipher}})
	if err != nil {
		return nil, err
	}
	return frame(idAPRep, asn1tools.AddASNAppTag(rep, asnAppTag.APREP))
}

// Client is who has proven himself, with his realm. Valid after Accept.
func (a *Acceptor) Client() (name types.PrincipalName, realm string) { return a.client, a.realm }

// Messages protects what follows; nil before Accept has succeeded.
func (a *Acceptor) Messages() *Messages { return a.sealed }

// randomSeq is where a count begins: 30 bits, which no implementation takes for a negative number.
func randomSeq() int64 {
	var b [4]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint32(b[:]) & 0x3fffffff)
}

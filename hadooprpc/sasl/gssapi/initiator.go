package gssapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// What an initiator asks of a context (RFC 4121 section 4.1.1.1): the acceptor's proof, order, integrity and privacy.
const (
	flagMutual = 1 << (1 + iota)
	flagReplay
	flagSequence
	flagConf
	flagInteg

	contextFlags = flagMutual | flagReplay | flagSequence | flagConf | flagInteg
)

// Credential is a ticket for a service and what its holder must know to use it.
type Credential struct {
	Ticket messages.Ticket
	Key    Key // the session key
	Client types.PrincipalName
	Realm  string // the client's
}

// Initiator is the client's half of a context: Token, then Finish with the acceptor's answer. It is used by one
// goroutine, once.
type Initiator struct {
	cred   Credential
	auth   types.Authenticator
	sealed *Messages
}

// NewInitiator begins a context at a time that must be the acceptor's within its tolerance, usually five minutes.
func NewInitiator(cred Credential, now time.Time) (*Initiator, error) {
	if _, err := cipherOf(cred.Key); err != nil {
		return nil, err
	}
	auth, err := types.NewAuthenticator(cred.Realm, cred.Client)
	if err != nil {
		return nil, err
	}
	now = now.UTC()
	auth.CTime, auth.Cusec = now, now.Nanosecond()/1000
	auth.SubKey = newKey(cred.Key.KeyType)
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: checksum(contextFlags)}
	return &Initiator{cred: cred, auth: auth}, nil
}

// checksum is what stands in the place of the authenticator's: no channel bindings, and flags.
func checksum(flags uint32) []byte {
	b := make([]byte, 24)
	binary.LittleEndian.PutUint32(b, 16)
	binary.LittleEndian.PutUint32(b[20:], flags)
	return b
}

// Token is the first token, to be sent to the acceptor.
func (i *Initiator) Token() ([]byte, error) {
	req, err := messages.NewAPReq(i.cred.Ticket, i.cred.Key, i.auth)
	if err != nil {
		return nil, err
	}
	types.SetFlag(&req.APOptions, flags.APOptionMutualRequired)
	b, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	return frame(idAPReq, b)
}

var errProof = errors.New("gssapi: the server does not prove that it has the service's key")

// Finish checks the acceptor's answer, which proves that it holds the service's key.
func (i *Initiator) Finish(token []byte) error {
	if i.sealed != nil {
		return errors.New("gssapi: the context is established already")
	}
	body, err := unframe(idAPRep, token)
	if err != nil {
		return err
	}
	var rep messages.APRep
	if err := safely(func() error { return rep.Unmarshal(body) }); err != nil {
		return fmt.Errorf("gssapi: AP-REP: %w", err)
	}
	if rep.PVNO != iana.PVNO || rep.EncPart.EType != i.cred.Key.KeyType {
		return fmt.Errorf("gssapi: AP-REP of version %d with encryption type %d", rep.PVNO, rep.EncPart.EType)
	}
	key, err := newUsageKey(i.cred.Key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return err
	}
	plain, err := key.open(rep.EncPart.Cipher)
	if err != nil {
		return fmt.Errorf("%w: %w", errProof, err)
	}
	var part messages.EncAPRepPart
	if err := safely(func() error { return part.Unmarshal(plain) }); err != nil {
		return fmt.Errorf("gssapi: AP-REP: %w", err)
	}
	if !part.CTime.Equal(i.auth.CTime.Truncate(time.Second)) || part.Cusec != i.auth.Cusec {
		return fmt.Errorf("%w: it answers another request", errProof)
	}
	session, own := i.auth.SubKey, false
	if len(part.Subkey.KeyValue) > 0 {
		session, own = part.Subkey, true
	}
	i.sealed, err = newMessages(session, false, own, uint64(i.auth.SeqNumber), uint64(uint32(part.SequenceNumber)))
	return err
}

// Messages protects what follows; nil before Finish has succeeded.
func (i *Initiator) Messages() *Messages { return i.sealed }

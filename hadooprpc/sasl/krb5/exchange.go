package krb5

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// ticket is one with what goes with it.
type ticket struct {
	messages.Ticket
	key    types.EncryptionKey
	since  time.Time // when it began to be good
	ends   time.Time
	renews time.Time // until when; zero where it cannot be
}

// client asks KDCs for the tickets of one principal. The two exchanges are those of RFC 4120 section 3; the library's
// own are not used: they renew in the background, where what a KDC answers could end the process, believe any length
// of an answer, wait for no context, and tell what was refused in words alone.
type client struct {
	*kdcs
	who *credentials.Credentials // with the keytab, where there is one
}

func newTicket(t messages.Ticket, p messages.EncKDCRepPart) ticket {
	since := p.StartTime
	if since.IsZero() { // then it is the same
		since = p.AuthTime
	}
	return ticket{Ticket: t, key: p.Key, since: since, ends: p.EndTime, renews: p.RenewTill}
}

// grants is the name of the service that gives tickets to others of a realm.
func grants(realm string) types.PrincipalName {
	return types.PrincipalName{NameType: nametype.KRB_NT_SRV_INST, NameString: []string{"krbtgt", realm}}
}

// login gets the ticket by which others are got, with a key of the keytab: the AS exchange.
func (c *client) login(ctx context.Context) (ticket, error) {
	realm := c.who.Domain()
	request, err := messages.NewASReqForTGT(realm, c.cfg, c.who.CName())
	if err != nil {
		return ticket{}, err
	}
	request.ReqBody.EType = c.knownFirst(request.ReqBody.EType)
	reply, err := c.send(ctx, realm, request.Marshal)
	if e, refused := errors.AsType[messages.KRBError](err); refused && (e.ErrorCode == errorcode.KDC_ERR_PREAUTH_REQUIRED || e.ErrorCode == errorcode.KDC_ERR_PREAUTH_FAILED) {
		if err := safely(func() error { return c.preauthenticate(&request, e) }); err != nil {
			return ticket{}, err
		}
		reply, err = c.send(ctx, realm, request.Marshal)
	}
	if err != nil {
		return ticket{}, err
	}
	return c.readASReply(reply, request)
}

// send is exchange with a message that is yet to be encoded.
func (c *client) send(ctx context.Context, realm string, marshal func() ([]byte, error)) ([]byte, error) {
	b, err := marshal()
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, realm, b)
}

func (c *client) readASReply(b []byte, request messages.ASReq) (t ticket, err error) {
	var reply messages.ASRep
	err = safely(func() error {
		if err := reply.Unmarshal(b); err != nil {
			return err
		}
		_, err := reply.Verify(c.cfg, c.who, request)
		return err
	})
	if err == nil {
		err = named(reply.KDCRepFields, request.ReqBody.SName)
	}
	return newTicket(reply.Ticket, reply.DecryptedEncPart), err
}

// named checks the service's name in the part of a ticket that everybody can write, by the part of the answer that the
// KDC alone can.
func named(r messages.KDCRepFields, want types.PrincipalName) error {
	if got, says := r.Ticket.SName, r.DecryptedEncPart.SName; !slices.Equal(got.NameString, says.NameString) {
		return fmt.Errorf("a ticket that is called one for %s, and is for %s", got.PrincipalNameString(), says.PrincipalNameString())
	} else if !slices.Equal(says.NameString, want.NameString) {
		return fmt.Errorf("a ticket for %s where one for %s was asked for", says.PrincipalNameString(), want.PrincipalNameString())
	}
	return nil
}

// key is the newest key of a type that the keytab has.
func (c *client) key(etype int32) (key types.EncryptionKey, version int, err error) {
	return c.who.Keytab().GetEncryptionKey(c.who.CName(), c.who.Domain(), 0, etype)
}

// knownFirst puts the types of encryption of which the keytab has a key before all others: a KDC that has keys of more
// types takes the first of the list that it can, as MIT's client does it.
func (c *client) knownFirst(types []int32) []int32 {
	unknown := func(t int32) int {
		if _, _, err := c.key(t); err != nil {
			return 1
		}
		return 0
	}
	out := slices.Clone(types)
	slices.SortStableFunc(out, func(a, b int32) int { return unknown(a) - unknown(b) })
	return out
}

// preauthenticate adds the time, sealed with the key: RFC 4120 section 5.2.7.2. The KDC has told of which types of
// encryption it has one; but anybody can have said that, so only those count that were asked for: a key of a weak type must
// not be used because somebody in between wants it.
func (c *client) preauthenticate(request *messages.ASReq, refused messages.KRBError) error {
	var hints types.PADataSequence
	if err := hints.Unmarshal(refused.EData); err != nil {
		return err
	}
	asked := request.ReqBody.EType
	offered := asked
	for _, h := range hints {
		if h.PADataType != patype.PA_ETYPE_INFO2 {
			continue
		}
		info, err := h.GetETypeInfo2()
		if err != nil {
			return err
		}
		offered = nil
		for _, e := range info {
			if slices.Contains(asked, e.EType) {
				offered = append(offered, e.EType)
			}
		}
	}
	if len(offered) == 0 {
		return messages.NewKRBError(request.ReqBody.SName, c.who.Domain(), errorcode.KDC_ERR_ETYPE_NOSUPP, "")
	}
	key, version, err := c.key(c.knownFirst(offered)[0])
	if err != nil {
		return err
	}
	now, err := types.GetPAEncTSEncAsnMarshalled()
	if err != nil {
		return err
	}
	sealed, err := crypto.GetEncryptedData(now, key, keyusage.AS_REQ_PA_ENC_TIMESTAMP, version)
	if err != nil {
		return err
	}
	b, err := sealed.Marshal()
	request.PAData = append(request.PAData, types.PAData{PADataType: patype.PA_ENC_TIMESTAMP, PADataValue: b})
	return err
}

const maxReferrals = 5

// service gets a ticket with another: the TGS exchange, with the KDCs of a realm, and with those of others that they
// send one to (RFC 6806 section 8). Where renew is set it is the same ticket for longer.
func (c *client) service(ctx context.Context, by ticket, realm string, name types.PrincipalName, renew bool) (ticket, error) {
	for range 1 + maxReferrals {
		request, err := messages.NewTGSReq(c.who.CName(), realm, c.cfg, by.Ticket, by.key, name, renew)
		if err != nil {
			return ticket{}, err
		}
		b, err := c.send(ctx, realm, request.Marshal)
		if err != nil {
			return ticket{}, err
		}
		t, next, err := c.readTGSReply(b, by.key, request)
		if err != nil || next == "" {
			return t, err
		}
		by, realm = t, next
	}
	return ticket{}, fmt.Errorf("more than %d realms that each name another for %s", maxReferrals, name.PrincipalNameString())
}

// readTGSReply returns the ticket that was asked for, or one for the KDCs of another realm, which is the next to ask.
func (c *client) readTGSReply(b []byte, key types.EncryptionKey, request messages.TGSReq) (t ticket, next string, err error) {
	var reply messages.TGSRep
	err = safely(func() error {
		if err := reply.Unmarshal(b); err != nil {
			return err
		}
		if err := reply.DecryptEncPart(key); err != nil {
			return err
		}
		_, err := reply.Verify(c.cfg, request)
		return err
	})
	if err != nil {
		return ticket{}, "", err
	}
	want := request.ReqBody.SName
	if is := reply.DecryptedEncPart.SName.NameString; len(is) == 2 && is[0] == "krbtgt" && !slices.Equal(is, want.NameString) {
		next, want = is[1], grants(is[1])
	}
	return newTicket(reply.Ticket, reply.DecryptedEncPart), next, named(reply.KDCRepFields, want)
}

package krb5

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// fakeKDC is a realm's KDC for alice, by UDP and TCP at one address. It wants pre-authentication, gives a ticket for
// every service, and remembers what it was asked for.
type fakeKDC struct {
	testing.TB
	realm   string
	keys    *keytab.Keytab // alice's
	address string

	mu       sync.Mutex
	datagram int           // longer answers do not go by UDP
	types    []int32       // of encryption, of which it says that it has a key of alice's
	life     time.Duration // of tickets
	renews   time.Duration // how long tickets can be renewed; 0: not at all
	refuses  map[string]int32
	refers   map[string]string // services of which another realm's KDC knows
	mangle   func(reply []byte) []byte
	asked    []string
	issuer   *gssapi.Issuer
	given    map[string]gssapi.Credential // by the ticket's cipher
	trusts   *fakeKDC                     // another realm's, whose tickets are taken, too
}

func newKDC(t testing.TB, realm string, etypes ...int32) *fakeKDC {
	t.Helper()
	if len(etypes) == 0 {
		etypes = []int32{18}
	}
	k := &fakeKDC{TB: t, realm: realm, types: etypes, keys: keytab.New(), datagram: 4 << 10, life: time.Hour,
		refuses: map[string]int32{}, refers: map[string]string{}, given: map[string]gssapi.Credential{}}
	for _, e := range etypes {
		if err := k.keys.AddEntry("alice", realm, "secret", time.Now(), 1, e); err != nil {
			t.Fatal(err)
		}
	}
	k.issuer = &gssapi.Issuer{Realm: realm, KeyType: etypes[0], Life: k.life}
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k.address = stream.Addr().String()
	packets, err := net.ListenPacket("udp", k.address)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	t.Cleanup(func() { stream.Close(); packets.Close(); done.Wait() })
	done.Go(func() { k.serveStream(stream) })
	done.Go(func() { k.servePackets(packets) })
	return k
}

func (k *fakeKDC) serveStream(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		var length [4]byte
		if _, err := io.ReadFull(conn, length[:]); err == nil {
			b := make([]byte, binary.BigEndian.Uint32(length[:]))
			if _, err := io.ReadFull(conn, b); err == nil {
				if reply := k.answer("tcp", b); reply != nil {
					conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(reply))), reply...))
				}
			}
		}
		conn.Close()
	}
}

func (k *fakeKDC) servePackets(c net.PacketConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		reply := k.answer("udp", b[:n])
		if len(reply) > k.mostByDatagram() {
			reply = k.refusal(types.PrincipalName{}, errorcode.KRB_ERR_RESPONSE_TOO_BIG, nil)
		}
		if reply != nil {
			c.WriteTo(reply, from)
		}
	}
}

func (k *fakeKDC) answer(network string, b []byte) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	var reply []byte
	var as messages.ASReq
	var tgs messages.TGSReq
	switch {
	case as.Unmarshal(b) == nil:
		k.asked = append(k.asked, network+" login")
		reply = k.login(as)
	case tgs.Unmarshal(b) == nil:
		what := tgs.ReqBody.SName.PrincipalNameString()
		if types.IsFlagSet(&tgs.ReqBody.KDCOptions, 30) {
			what = "renew " + what
		}
		k.asked = append(k.asked, network+" "+what)
		reply = k.service(tgs)
	default:
		k.Errorf("a request that is none: %x", b)
	}
	if k.mangle != nil && reply != nil {
		reply = k.mangle(reply)
	}
	return reply
}

func (k *fakeKDC) refusal(service types.PrincipalName, code int32, data []byte) []byte {
	e := messages.NewKRBError(service, k.realm, code, "")
	e.EData = data
	b, err := e.Marshal()
	if err != nil {
		k.Error(err)
	}
	return b
}

func (k *fakeKDC) login(r messages.ASReq) []byte {
	if code := k.refuses["login"]; code != 0 {
		return k.refusal(r.ReqBody.SName, code, nil)
	}
	if !slices.Equal(r.ReqBody.CName.NameString, []string{"alice"}) {
		return k.refusal(r.ReqBody.SName, errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN, nil)
	}
	etype, sealed := k.types[0], []byte(nil) // that the key is of: the first of the request's that there is
	for _, e := range slices.Backward(r.ReqBody.EType) {
		if slices.Contains(k.types, e) {
			etype = e
		}
	}
	for _, p := range r.PAData {
		if p.PADataType == patype.PA_ENC_TIMESTAMP {
			sealed = p.PADataValue
		}
	}
	if sealed == nil {
		return k.refusal(r.ReqBody.SName, errorcode.KDC_ERR_PREAUTH_REQUIRED, k.hints())
	}
	key, _, err := k.keys.GetEncryptionKey(r.ReqBody.CName, k.realm, 0, etype)
	if err != nil {
		k.Error(err)
	}
	var data types.EncryptedData
	if err := data.Unmarshal(sealed); err != nil {
		k.Error(err)
	}
	if other, _, err := k.keys.GetEncryptionKey(r.ReqBody.CName, k.realm, 0, data.EType); err != nil {
		return k.refusal(r.ReqBody.SName, errorcode.KDC_ERR_ETYPE_NOSUPP, nil)
	} else if _, err := crypto.DecryptEncPart(data, other, keyusage.AS_REQ_PA_ENC_TIMESTAMP); err != nil {
		return k.refusal(r.ReqBody.SName, errorcode.KDC_ERR_PREAUTH_FAILED, nil)
	}
	fields := k.reply(msgtype.KRB_AS_REP, r.ReqBody, r.ReqBody.SName, key, keyusage.AS_REP_ENCPART, time.Now())
	b, err := (&messages.ASRep{KDCRepFields: fields}).Marshal()
	if err != nil {
		k.Error(err)
	}
	return b
}

// hints are ETYPE-INFO2, as MIT's KDC sends it.
func (k *fakeKDC) hints() []byte {
	var info types.ETypeInfo2
	for _, e := range k.types {
		info = append(info, types.ETypeInfo2Entry{EType: e, Salt: k.realm + "alice"})
	}
	b, err := asn1.Marshal(info)
	if err != nil {
		k.Error(err)
	}
	b, err = asn1.Marshal(types.PADataSequence{{PADataType: patype.PA_ENC_TIMESTAMP}, {PADataType: patype.PA_ETYPE_INFO2, PADataValue: b}})
	if err != nil {
		k.Error(err)
	}
	return b
}

func (k *fakeKDC) service(r messages.TGSReq) []byte {
	var shown messages.APReq
	if len(r.PAData) != 1 || shown.Unmarshal(r.PAData[0].PADataValue) != nil {
		k.Error("a request without a ticket")
		return nil
	}
	by, ok := k.given[string(shown.Ticket.EncPart.Cipher)]
	if !ok && k.trusts != nil {
		by, ok = k.trusts.gave(string(shown.Ticket.EncPart.Cipher))
	}
	name := r.ReqBody.SName.PrincipalNameString()
	code := k.refuses[name]
	switch {
	case code != 0:
	case !ok:
		code = errorcode.KRB_AP_ERR_BAD_INTEGRITY
	case shown.DecryptAuthenticator(by.Key) != nil:
		code = errorcode.KRB_AP_ERR_BAD_INTEGRITY
	}
	if code != 0 {
		return k.refusal(r.ReqBody.SName, code, nil)
	}
	service := r.ReqBody.SName
	if realm := k.refers[name]; realm != "" {
		service = grants(realm)
	}
	fields := k.reply(msgtype.KRB_TGS_REP, r.ReqBody, service, by.Key, keyusage.TGS_REP_ENCPART_SESSION_KEY, time.Now())
	b, err := (&messages.TGSRep{KDCRepFields: fields}).Marshal()
	if err != nil {
		k.Error(err)
	}
	return b
}

// reply is what both kinds have in common; its secrets are sealed for key.
func (k *fakeKDC) reply(kind int, r messages.KDCReqBody, service types.PrincipalName, key types.EncryptionKey, usage uint32, at time.Time) messages.KDCRepFields {
	cred, err := k.issuer.Ticket("alice", service.PrincipalNameString())
	if err != nil {
		k.Error(err)
	}
	cred.Ticket.SName = service
	k.given[string(cred.Ticket.EncPart.Cipher)] = cred
	at = at.UTC().Truncate(time.Second)
	secret := messages.EncKDCRepPart{Key: cred.Key, LastReqs: []messages.LastReq{{LRValue: at}}, Nonce: r.Nonce, Flags: types.NewKrbFlags(),
		AuthTime: at, StartTime: at, EndTime: at.Add(k.life), SRealm: k.realm, SName: service}
	if k.renews > 0 {
		secret.RenewTill = at.Add(k.renews)
	}
	b, err := secret.Marshal()
	if err != nil {
		k.Error(err)
	}
	sealed, err := crypto.GetEncryptedData(b, key, usage, 1)
	if err != nil {
		k.Error(err)
	}
	name := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "alice")
	return messages.KDCRepFields{PVNO: iana.PVNO, MsgType: kind, CRealm: k.realm, CName: name, Ticket: cred.Ticket, EncPart: sealed}
}

func (k *fakeKDC) mostByDatagram() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.datagram
}

func (k *fakeKDC) gave(cipher string) (gssapi.Credential, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.given[cipher]
	return c, ok
}

// set changes how it answers.
func (k *fakeKDC) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// askedFor is what it was asked for since the last time that this was called.
func (k *fakeKDC) askedFor() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.asked
	k.asked = nil
	return out
}

// keytabFile has alice's keys, or those of the types that are named.
func (k *fakeKDC) keytabFile(etypes ...int32) string {
	k.Helper()
	kt := *k.keys
	if len(etypes) > 0 {
		kt.Entries = nil
		for _, e := range k.keys.Entries {
			if slices.Contains(etypes, e.Key.KeyType) {
				kt.Entries = append(kt.Entries, e)
			}
		}
	}
	b, err := kt.Marshal()
	if err != nil {
		k.Fatal(err)
	}
	return write(k, filepath.Join(k.TempDir(), "keytab"), bytes.Clone(b))
}

package krb5

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"
)

// kdcs are the key distribution centers of all realms. How they are reached: RFC 4120 section 7.2. It is used by one
// goroutine at a time.
type kdcs struct {
	cfg  *config.Config
	good map[string]way // which answered last, by realm

	silent map[string]time.Time // when none had answered in time, by realm
}

func newKDCs(cfg *config.Config) *kdcs {
	return &kdcs{cfg: cfg, good: map[string]way{}, silent: map[string]time.Time{}}
}

// way is one of those by which a KDC is asked.
type way struct{ network, address string }

const (
	maxReply = 1 << 20 // bytes; MIT's client takes no more either
	// nextAfter is how long one way is given before the next is tried as well: the first answer counts, whoever gives it.
	// Where less time is left, it is so much less that all have been tried in half of that.
	nextAfter = time.Second
	// patience is how long one way may take, looking up a name included.
	patience = 10 * time.Second
	// Where none has answered for silentAfter, none is asked for restFor: who has a token besides would wait for nothing at each
	// connection. An application master has many to make before YARN gives it up.
	silentAfter = 3 * time.Second
	restFor     = 30 * time.Second
)

// exchange sends a request to a realm's KDCs until one answers, and returns its answer, which is neither empty nor an error.
// What a KDC refuses is a messages.KRBError; ctx's error is returned as it is.
func (k *kdcs) exchange(ctx context.Context, realm string, request []byte) ([]byte, error) {
	if since, ok := k.silent[realm]; ok && time.Since(since) < restFor {
		return nil, &Error{Unreachable, fmt.Sprintf("no KDC of the realm %s has answered in time, and none is asked for %v", realm, restFor), "is the network up, and is the address in krb5.conf right?", nil}
	}
	began := time.Now()
	reply, err := k.askAll(ctx, realm, request)
	delete(k.silent, realm)
	if late := KindOf(err) == Unreachable || errors.Is(err, context.DeadlineExceeded); late && time.Since(began) >= silentAfter {
		k.silent[realm] = time.Now()
	}
	return reply, err
}

// askAll asks one after the other.
func (k *kdcs) askAll(ctx context.Context, realm string, request []byte) ([]byte, error) {
	ways, err := k.ways(ctx, realm, len(request))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what is still being asked need not answer any more
	type answer struct {
		of    way
		reply []byte
		err   error
	}
	answers := make(chan answer, len(ways))
	after := nextAfter
	if end, ok := ctx.Deadline(); ok {
		after = min(after, time.Until(end)/time.Duration(2*len(ways)))
	}
	next := time.NewTimer(0)
	defer next.Stop()
	var failed []string
	for begun := 0; len(failed) < len(ways); {
		select {
		case <-next.C:
			if begun == len(ways) {
				continue
			}
			w := ways[begun]
			begun++
			next.Reset(after)
			go func() {
				reply, err := ask(ctx, w, request)
				if err == nil {
					err = refusal(reply)
				}
				answers <- answer{w, reply, err}
			}()
		case a := <-answers:
			if a.err == nil || final(a.err) {
				k.good[realm] = a.of
				return a.reply, a.err
			}
			failed = append(failed, a.of.network+" "+a.of.address+": "+a.err.Error())
			next.Reset(0)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, &Error{Unreachable, fmt.Sprintf("no KDC of the realm %s answers", realm), "is the network up, and is the address in krb5.conf right?", errors.New(strings.Join(failed, "; "))}
}

// ways are those to try for a request of so many bytes, in turn: the one that has answered last, then the others in the order
// of krb5.conf.
func (k *kdcs) ways(ctx context.Context, realm string, n int) ([]way, error) {
	var out []way
	var missing error
	for _, network := range k.networks(n) {
		addresses, err := k.addresses(ctx, network, realm)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			missing = err
		}
		for _, a := range addresses {
			out = append(out, way{network, a})
		}
	}
	if len(out) == 0 {
		return nil, missing
	}
	if i := slices.Index(out, k.good[realm]); i > 0 {
		good := out[i]
		out = slices.Insert(slices.Delete(out, i, i+1), 0, good)
	}
	return out, nil
}

// networks are those to try, in turn. As MIT's, requests that are longer than udp_preference_limit go by TCP first; 1
// is for TCP alone.
func (k *kdcs) networks(n int) []string {
	switch limit := k.cfg.LibDefaults.UDPPreferenceLimit; {
	case limit == 1:
		return []string{"tcp"}
	case n > limit:
		return []string{"tcp", "udp"}
	}
	return []string{"udp", "tcp"}
}

// addresses are a realm's KDCs, in the order of krb5.conf, or, where that has none, of the DNS.
func (k *kdcs) addresses(ctx context.Context, network, realm string) ([]string, error) {
	var out []string
	for _, r := range k.cfg.Realms {
		if r.Realm == realm {
			out = append(out, r.KDC...)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	none := &Error{BadConfig, fmt.Sprintf("krb5.conf names no KDC of the realm %s", realm), "add one to [realms], or set KRB5_CONFIG to the file of that realm", nil}
	if !k.cfg.LibDefaults.DNSLookupKDC {
		return nil, none
	}
	_, found, err := net.DefaultResolver.LookupSRV(ctx, "kerberos", network, realm)
	for _, srv := range found { // some may be right where others are not
		out = append(out, net.JoinHostPort(strings.TrimSuffix(srv.Target, "."), strconv.Itoa(int(srv.Port))))
	}
	if len(out) == 0 {
		none.Err = err
		return nil, none
	}
	return out, nil
}

// ask sends a request to one KDC.
func ask(ctx context.Context, w way, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, w.network, w.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if w.network == "udp" {
		return askDatagram(conn, request)
	}
	return askStream(conn, request)
}

func askDatagram(conn io.ReadWriter, request []byte) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	b := make([]byte, 64<<10) // no datagram is longer
	n, err := conn.Read(b)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// askStream puts the length before each message: RFC 4120 section 7.2.2.
func askStream(conn io.ReadWriter, request []byte) ([]byte, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxReply {
		return nil, fmt.Errorf("an answer of %d bytes, which is more than the %d that a KDC may send", n, maxReply)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(conn, b)
	return b, err
}

// The first bytes of what a KDC may answer: ASN.1 tags of an application, constructed.
const (
	tagASReply  = 0x60 | asnAppTag.ASREP
	tagTGSReply = 0x60 | asnAppTag.TGSREP
	tagError    = 0x60 | asnAppTag.KRBError
)

// refusal is the error that an answer is; nil where it is none.
func refusal(reply []byte) error {
	if len(reply) == 0 {
		return errors.New("an empty answer")
	}
	switch reply[0] {
	case tagASReply, tagTGSReply:
		return nil
	case tagError:
		var e messages.KRBError
		if err := safely(func() error { return e.Unmarshal(reply) }); err != nil {
			return err
		}
		return e
	}
	return fmt.Errorf("an answer that is none of a KDC's (it begins with %#02x)", reply[0])
}

// final tells whether a KDC's refusal is the realm's, and not one that another KDC, or another way, may not have: KRB_AP_ERR_REPEAT
// says that a request has come before, by another way.
func final(err error) bool {
	e, refused := errors.AsType[messages.KRBError](err)
	return refused && !slices.Contains([]int32{errorcode.KRB_ERR_RESPONSE_TOO_BIG, errorcode.KDC_ERR_SVC_UNAVAILABLE, errorcode.KRB_AP_ERR_REPEAT}, e.ErrorCode)
}

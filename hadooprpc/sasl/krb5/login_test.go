package krb5

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// cacheFile is a ticket cache of alice, of version 4, with tickets that began an hour before they end.
func cacheFile(t testing.TB, ends time.Time, services ...string) []byte {
	t.Helper()
	return cacheFrom(t, ends.Add(-time.Hour), ends, services...)
}

func cacheFrom(t testing.TB, since, ends time.Time, services ...string) []byte {
	t.Helper()
	realm := &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
	var b bytes.Buffer
	u32 := func(n int) { binary.Write(&b, binary.BigEndian, uint32(n)) }
	data := func(d []byte) { u32(len(d)); b.Write(d) }
	principal := func(name string) {
		parts := strings.Split(name, "/")
		u32(1)
		u32(len(parts))
		data([]byte("EXAMPLE.COM"))
		for _, p := range parts {
			data([]byte(p))
		}
	}
	b.Write([]byte{5, 4, 0, 12, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0})
	principal("alice")
	for _, s := range services {
		cred, err := realm.Ticket("alice", s)
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := cred.Ticket.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		principal("alice")
		principal(s)
		binary.Write(&b, binary.BigEndian, uint16(cred.Key.KeyType))
		data(cred.Key.KeyValue)
		for _, at := range []time.Time{since, since, ends, ends} {
			u32(int(at.Unix()))
		}
		b.WriteByte(0)
		u32(0x40e10000)
		u32(0)
		u32(0)
		data(ticket)
		data(nil)
	}
	return b.Bytes()
}

const grantsTickets = "krbtgt/EXAMPLE.COM"

// example is a configuration whose KDC is at an address.
func example(t testing.TB, kdc string) *Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "krb5.conf")
	text := "[libdefaults]\ndefault_realm = EXAMPLE.COM\nudp_preference_limit = 1\n[realms]\nEXAMPLE.COM = {\nkdc = " + kdc + "\n}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(env("KRB5_CONFIG", path))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A ticket for the service that is in the cache already needs no KDC.
func TestFromCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	write(t, path, cacheFile(t, ends, grantsTickets, "nn/a.b"))
	l, err := FromCache(example(t, "127.0.0.1:1"), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got, _ := l.Expires(); l.Principal() != "alice@EXAMPLE.COM" || !got.Equal(ends) {
		t.Errorf("%s until %v", l.Principal(), got)
	}
	cred, err := l.ServiceTicket(t.Context(), "nn/a.b@EXAMPLE.COM")
	if err != nil || cred.Ticket.SName.PrincipalNameString() != "nn/a.b" || cred.Client.PrincipalNameString() != "alice" || cred.Realm != "EXAMPLE.COM" {
		t.Fatalf("%+v, %v", cred.Ticket.SName, err)
	}
	if _, err := l.ServiceTicket(t.Context(), "nn/c.d@EXAMPLE.COM"); KindOf(err) != Unreachable || !strings.Contains(err.Error(), "no KDC of the realm EXAMPLE.COM answers") {
		t.Errorf("no KDC: %v", err)
	}
	if _, err := l.ServiceTicket(t.Context(), "nn/a.b@OTHER.REALM"); KindOf(err) != Unreachable {
		t.Errorf("the same name in another realm: %v", err)
	}
	// kinit again: a service that was not there before is.
	write(t, path, cacheFile(t, ends, grantsTickets, "nn/c.d"))
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ServiceTicket(t.Context(), "nn/c.d"); err != nil {
		t.Errorf("after kinit: %v", err)
	}
	l.Close()
	if _, err := l.ServiceTicket(t.Context(), "nn/c.d"); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Tickets whose start is still to come by our clock are the KDC's, whose clock is before ours.
func TestClockBehindKDC(t *testing.T) {
	for _, tc := range []struct {
		ahead time.Duration
		asked []string
	}{{time.Minute, nil}, {time.Hour, []string{"udp nn/a.b"}}} {
		k := newKDC(t, "EXAMPLE.COM")
		since := time.Now().Add(tc.ahead)
		l, err := FromCache(configOf(t, k), write(t, filepath.Join(t.TempDir(), "cache"), cacheFrom(t, since, since.Add(time.Hour), grantsTickets, "nn/a.b")))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if own := l.own(); own.ends.IsZero() {
			t.Errorf("%v: the ticket that gets others was left out", tc.ahead)
		}
		k.set(func() { k.refuses["nn/a.b"] = errorcode.KRB_AP_ERR_TKT_NYV })
		_, err = l.ServiceTicket(t.Context(), "nn/a.b")
		if asked := k.askedFor(); !slices.Equal(asked, tc.asked) || (err == nil) != (tc.asked == nil) {
			t.Errorf("%v: the KDC was asked for %q: %v", tc.ahead, asked, err)
		}
	}
}

// A cache whose key is none is an error when it is used.
func TestDamagedKey(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "cache"), cacheFile(t, time.Now().Add(time.Hour), grantsTickets))
	l, err := FromCache(example(t, "127.0.0.1:1"), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for n := range 3 {
		tgt := l.own()
		tgt.key.KeyValue = make([]byte, n)
		l.keep(l.ownName(), tgt)
		if _, err := l.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != Refused {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
}

// What is in the header of a cache is passed over, whatever it is.
func TestCacheHeader(t *testing.T) {
	good := cacheFile(t, time.Now().Add(time.Hour), grantsTickets)
	for name, header := range map[string][]byte{
		"none":             {0, 0},
		"one of a kind":    {0, 8, 0x12, 0x34, 0, 4, 1, 2, 3, 4},
		"damaged":          {0, 4, 0x64, 8, 0xff, 0xff},
		"one of no length": {0, 4, 0, 1, 0, 0},
	} {
		cache := slices.Concat(good[:2], header, good[2+2+12:])
		l, err := FromCache(example(t, "127.0.0.1:1"), write(t, filepath.Join(t.TempDir(), "cache"), cache))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l.Close()
	}
}

func TestFromCacheErrors(t *testing.T) {
	c, dir := example(t, "127.0.0.1:1"), t.TempDir()
	good := cacheFile(t, time.Now().Add(time.Hour), grantsTickets)
	for name, x := range map[string]struct {
		content []byte
		kind    Kind
		says    string
	}{
		"expired":   {cacheFile(t, time.Now().Add(-time.Minute), grantsTickets), Expired, "kinit alice@EXAMPLE.COM"},
		"missing":   {nil, NoCache, "kinit"},
		"empty":     {[]byte{}, BadCache, "kdestroy; kinit"},
		"other":     {[]byte("SQLite format 3\x00"), BadCache, "known version"},
		"no ticket": {cacheFile(t, time.Now().Add(time.Hour), "nn/a.b"), NoCache, "kinit"},
		"huge":      {append(bytes.Clone(good[:len(good)-8]), 0x7f, 0xff, 0xff, 0xff), BadCache, "cut or damaged"},
	} {
		path := filepath.Join(dir, name)
		if x.content != nil {
			write(t, path, x.content)
		}
		if _, err := FromCache(c, path); KindOf(err) != x.kind || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		path := write(t, filepath.Join(dir, "cut"), good[:n])
		if l, err := FromCache(c, path); err == nil {
			l.Close()
			t.Errorf("cut after %d of %d bytes: taken", n, len(good))
		} else if strings.Contains(err.Error(), "malformed") {
			t.Errorf("cut after %d bytes: it was the library that found out: %v", n, err)
		}
	}
}

func FuzzCache(f *testing.F) {
	good := cacheFile(f, time.Now().Add(time.Hour), grantsTickets, "nn/a.b")
	f.Add(good)
	f.Add([]byte{5, 1, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{5, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	path := filepath.Join(f.TempDir(), "cache")
	f.Fuzz(func(t *testing.T, b []byte) {
		write(t, path, b)
		if _, err := loadCache(path); err != nil && strings.Contains(err.Error(), "malformed") {
			t.Errorf("checked, and yet: %v", err)
		}
	})
}

func TestCachePath(t *testing.T) {
	c := &Config{Files: []string{"/etc/krb5.conf"}}
	set := &Config{CacheName: "KEYRING:persistent:0", Files: c.Files}
	for _, x := range []struct {
		name, want, says string
		c                *Config
	}{
		{"/a/b", "/a/b", "", c}, {"FILE:/a/b", "/a/b", "", c}, {"/a:b", "/a:b", "", c},
		{"KCM:0", "", "only files are read", c}, {"DIR:/a", "", "export KRB5CCNAME=FILE:/tmp/krb5cc_", c},
		{"", "", "KEYRING:persistent:0 (by default_ccache_name in /etc/krb5.conf)", set}, {"FILE:/a", "/a", "", set},
		{"FILE:/a/%{LOCAL_APPDATA}", "", "is no file", c},
	} {
		got, err := CachePath(env("KRB5CCNAME", x.name), x.c)
		if got != x.want || (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
			t.Errorf("%q: %q, %v", x.name, got, err)
		}
	}
	if got, err := CachePath(env(), c); err != nil || !strings.HasPrefix(got, "/tmp/krb5cc_") {
		t.Errorf("without any: %q, %v", got, err)
	}
}

func TestFromKeytab(t *testing.T) {
	kt := keytab.New()
	if err := kt.AddEntry("alice", "EXAMPLE.COM", "secret", time.Now(), 1, 18); err != nil {
		t.Fatal(err)
	}
	b, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c, path := example(t, "127.0.0.1:1"), write(t, filepath.Join(t.TempDir(), "keytab"), b)
	l, err := FromKeytab(c, path, "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Principal() != "alice@EXAMPLE.COM" {
		t.Error(l.Principal())
	}
	if _, err := l.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != Unreachable {
		t.Errorf("no KDC: %v", err)
	}
	// What the KDC did not take is not shown to it again at once.
	l.wrong, l.at = &Error{Kind: WrongPassword}, time.Now()
	if _, err := l.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != WrongPassword {
		t.Errorf("just after it was refused: %v", err)
	}
	l.at = time.Now().Add(-wrongPause)
	if _, err := l.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != Unreachable || l.wrong != nil {
		t.Errorf("later: %v", err)
	}
	if _, err := FromKeytab(c, path, "bob"); KindOf(err) != BadKeytab || !strings.Contains(err.Error(), "no key of bob@EXAMPLE.COM, but of alice@EXAMPLE.COM") {
		t.Errorf("another's keytab: %v", err)
	}
	if _, err := FromKeytab(c, path+"x", "bob"); KindOf(err) != BadKeytab {
		t.Errorf("no keytab: %v", err)
	}
	for n := range b {
		cut := write(t, path+".cut", b[:n])
		if l, err := FromKeytab(c, cut, "alice"); err == nil {
			l.Close()
			t.Errorf("cut after %d of %d bytes: taken", n, len(b))
		}
	}
}

// A KDC that says nothing keeps nobody for longer than he wants to wait.
func TestSilentKDC(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "cache"), cacheFile(t, time.Now().Add(time.Hour), grantsTickets))
	l, err := FromCache(example(t, silent.Addr().String()), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.ServiceTicket(ctx, "nn/a.b"); KindOf(err) != Unreachable || !strings.Contains(err.Error(), "has not answered in time") {
		t.Errorf("%v", err)
	}
	// Whoever comes meanwhile waits no longer than he wants to, and nor does who closes it.
	brief, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	if _, err := l.ServiceTicket(brief, "nn/c.d"); KindOf(err) != Unreachable {
		t.Errorf("behind it: %v", err)
	}
	l.Close()
	silent.Close() // its connections too: what waits for them ends
}

func TestExplain(t *testing.T) {
	q := asked{who: "alice@X", what: "nn/a", realm: "X", key: true}
	for code, want := range map[int32]Kind{
		errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN: UnknownUser,
		errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN: UnknownServer,
		errorcode.KDC_ERR_PREAUTH_FAILED:      WrongPassword,
		errorcode.KRB_AP_ERR_BAD_INTEGRITY:    WrongPassword,
		errorcode.KRB_AP_ERR_SKEW:             Skew,
		errorcode.KRB_AP_ERR_TKT_EXPIRED:      Expired,
		errorcode.KDC_ERR_ETYPE_NOSUPP:        NoCommonType,
		errorcode.KDC_ERR_CLIENT_REVOKED:      Refused,
		errorcode.KDC_ERR_WRONG_REALM:         BadConfig,
		errorcode.KRB_ERR_GENERIC:             Refused,
	} {
		err := explain(fmt.Errorf("it said: %w", messages.NewKRBError(types.PrincipalName{}, "X", code, "")), q)
		if KindOf(err) != want {
			t.Errorf("%d: %v", code, err)
		}
	}
	if err := explain(messages.NewKRBError(types.PrincipalName{}, "X", errorcode.KRB_ERR_GENERIC, "FINDING_SERVER_KEY"), q); KindOf(err) != NoCommonType {
		t.Errorf("a KDC that may not use the service's keys: %v", err)
	}
	for text, want := range map[string]Kind{
		"KRBMessage_Handling_Error: clock skew with KDC too large. Greater than 300 seconds":     Skew,
		"AS_REP is not valid or client password/keytab incorrect: integrity verification failed": WrongPassword,
		"matching key not found in keytab. Looking for \"alice\" realm: X kvno: 3 etype: 18":     BadKeytab,
		"something else": Refused,
	} {
		if err := explain(errors.New(text), q); KindOf(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What a keytab is blamed for is the KDC's own key, where a ticket was shown.
func TestExplainTicket(t *testing.T) {
	for _, wrong := range []error{messages.NewKRBError(types.PrincipalName{}, "X", errorcode.KRB_AP_ERR_BAD_INTEGRITY, ""), errors.New("error decrypting: integrity verification failed")} {
		err := explain(wrong, asked{who: "alice@X", what: "nn/a", realm: "X", cache: true})
		if KindOf(err) != BadCache || !strings.Contains(err.Error(), "kdestroy; kinit") || strings.Contains(err.Error(), "keytab") {
			t.Errorf("%v", err)
		}
		if err := explain(wrong, asked{who: "alice@X", what: "nn/a", realm: "X"}); KindOf(err) != Refused || strings.Contains(err.Error(), "keytab") {
			t.Errorf("%v", err)
		}
	}
}

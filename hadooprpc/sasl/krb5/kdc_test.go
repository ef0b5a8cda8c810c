package krb5

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// configOf is a configuration of realms and their KDCs. UDP is tried first.
func configOf(t testing.TB, of ...*fakeKDC) *Config {
	t.Helper()
	text := "[libdefaults]\ndefault_realm = " + of[0].realm + "\nudp_preference_limit = 4096\n[realms]\n"
	for _, k := range of {
		text += k.realm + " = {\nkdc = " + k.address + "\n}\n"
	}
	c, err := LoadConfig(env("KRB5_CONFIG", write(t, filepath.Join(t.TempDir(), "krb5.conf"), []byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// byKeytab is alice's, by her keytab.
func (k *fakeKDC) byKeytab(c *Config, etypes ...int32) *Login {
	k.Helper()
	l, err := FromKeytab(c, k.keytabFile(etypes...), "alice")
	if err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() { l.Close() })
	return l
}

func want(t *testing.T, l *Login, service string, k *fakeKDC, asked ...string) {
	t.Helper()
	cred, err := l.ServiceTicket(t.Context(), service)
	if name, _, _ := strings.Cut(service, "@"); err != nil || cred.Ticket.SName.PrincipalNameString() != name {
		t.Errorf("%s: %v, %v", service, cred.Ticket.SName, err)
	}
	if got := k.askedFor(); !slices.Equal(got, asked) {
		t.Errorf("%s: the KDC was asked for %q, want %q", service, got, asked)
	}
}

// A keytab logs in when it has to, keeps what it gets, and gets its ticket anew before that ends, or when the KDC does
// not take it any more.
func TestKeytabTickets(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	l := k.byKeytab(configOf(t, k))
	want(t, l, "nn/a.b@EXAMPLE.COM", k, "udp login", "udp login", "udp nn/a.b")
	want(t, l, "nn/a.b@EXAMPLE.COM", k)
	want(t, l, "nn/a.b", k)
	want(t, l, "nn/c.d", k, "udp nn/c.d")

	k.set(func() { k.refuses["nn/p.q"] = errorcode.KDC_ERR_POLICY })
	if _, err := l.ServiceTicket(t.Context(), "nn/p.q"); KindOf(err) != Refused {
		t.Errorf("a service that is not for alice: %v", err)
	}
	if got := k.askedFor(); !slices.Equal(got, []string{"udp nn/p.q"}) {
		t.Errorf("for that the KDC was asked for %q", got)
	}
	k.set(func() { clear(k.given) }) // as after a change of the KDC's own key
	want(t, l, "nn/e.f", k, "udp nn/e.f", "udp login", "udp login", "udp nn/e.f")

	old := l.own()
	old.ends, old.since = time.Now().Add(nearEnd+5*time.Minute), time.Now().Add(-time.Hour)
	l.kept[l.ownName()] = old
	want(t, l, "nn/g.h", k, "udp login", "udp login", "udp nn/g.h")

	// The one that is there serves to its end, whatever becomes of the key.
	l.kept[l.ownName()] = old
	k.set(func() { k.refuses["login"] = errorcode.KDC_ERR_CLIENT_REVOKED })
	want(t, l, "nn/i.j", k, "udp login", "udp nn/i.j")
	old.ends = time.Now().Add(-time.Second)
	l.kept[l.ownName()] = old
	if _, err := l.ServiceTicket(t.Context(), "nn/k.l"); KindOf(err) != Refused || !strings.Contains(err.Error(), "locked alice@EXAMPLE.COM") {
		t.Errorf("a ticket that has ended, and no other: %v", err)
	}
}

// The ticket of a cache is renewed as long as it can be, and then kinit is due.
func TestCacheTickets(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	source := k.byKeytab(configOf(t, k))
	want(t, source, "nn/x.y", k, "udp login", "udp login", "udp nn/x.y")
	path := write(t, filepath.Join(t.TempDir(), "cache"), cacheFile(t, time.Now().Add(time.Hour), grantsTickets))
	l, err := FromCache(configOf(t, k), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	put := func(left, renewable time.Duration) {
		tgt := source.own()
		tgt.since, tgt.ends, tgt.renews = time.Now().Add(-time.Hour), time.Now().Add(left), time.Now().Add(renewable)
		l.kept[l.ownName()] = tgt
	}
	put(time.Hour, time.Hour)
	want(t, l, "nn/a.b", k, "udp nn/a.b")
	put(5*time.Minute, time.Hour)
	k.set(func() { k.renews = time.Hour })
	want(t, l, "nn/c.d", k, "udp renew krbtgt/EXAMPLE.COM", "udp nn/c.d")
	if ends, renews := l.Expires(); time.Until(ends) < 50*time.Minute || time.Until(renews) < 50*time.Minute {
		t.Errorf("renewed until %v, and can be until %v", ends, renews)
	}
	put(5*time.Minute, -time.Minute) // which can be renewed no longer
	want(t, l, "nn/e.f", k, "udp nn/e.f")
	put(-time.Minute, time.Hour) // which no KDC renews
	if _, err := l.ServiceTicket(t.Context(), "nn/g.h"); KindOf(err) != Expired || len(k.askedFor()) > 0 {
		t.Errorf("ended: %v", err)
	}
	k.set(func() { clear(k.given) })
	put(time.Hour, time.Hour)
	if _, err := l.ServiceTicket(t.Context(), "nn/g.h"); KindOf(err) != BadCache || !strings.Contains(err.Error(), "kdestroy; kinit") {
		t.Errorf("a ticket that the KDC does not know: %v", err)
	}
}

// Of the types of encryption that the KDC has a key of, one is taken that the keytab has too.
func TestKeytabOfOneType(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM", 20, 18, 17)
	want(t, k.byKeytab(configOf(t, k), 17), "nn/a.b", k, "udp login", "udp login", "udp nn/a.b")
	k.set(func() { k.types = []int32{20} })
	l := k.byKeytab(configOf(t, k), 17)
	if _, err := l.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != BadKeytab || !strings.Contains(err.Error(), "klist -kte") {
		t.Errorf("no type in common: %v", err)
	}
}

// Services of another realm: by krb5.conf, by the name that Hadoop is configured with, and where its owner's KDC knows.
func TestOtherRealm(t *testing.T) {
	k, other := newKDC(t, "EXAMPLE.COM"), newKDC(t, "OTHER.ORG")
	other.set(func() { other.trusts = k })
	l := k.byKeytab(configOf(t, k, other))
	want(t, l, "nn/a.b@OTHER.ORG", k, "udp login", "udp login", "udp krbtgt/OTHER.ORG")
	want(t, l, "nn/c.d@OTHER.ORG", other, "udp nn/a.b", "udp nn/c.d")
	k.set(func() { k.refers["nn/e.f"] = "OTHER.ORG" })
	want(t, l, "nn/e.f", k, "udp nn/e.f")
	want(t, l, "nn/e.f", other, "udp nn/e.f")
	if _, err := l.ServiceTicket(t.Context(), "nn/e.f@EXAMPLE.COM"); KindOf(err) != UnknownServer || !strings.Contains(err.Error(), "one of the realm OTHER.ORG") {
		t.Errorf("one of this realm was asked for: %v", err)
	}
	other.set(func() { other.refers["nn/g.h"] = "EXAMPLE.COM" })
	k.set(func() { k.refers["nn/g.h"], k.trusts = "OTHER.ORG", other })
	if _, err := l.ServiceTicket(t.Context(), "nn/g.h"); err == nil || !strings.Contains(err.Error(), "each name another") {
		t.Errorf("realms that name each other: %v", err)
	}
}

// What is too long for a datagram comes by TCP, and a KDC that is busy or says nothing of sense is passed over.
func TestTransport(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	k.set(func() { k.datagram = 100 })
	want(t, k.byKeytab(configOf(t, k)), "nn/a.b", k, "udp login", "tcp login", "tcp login", "tcp nn/a.b")

	busy, odd, good := newKDC(t, "EXAMPLE.COM"), newKDC(t, "EXAMPLE.COM"), newKDC(t, "EXAMPLE.COM")
	busy.set(func() {
		busy.refuses["login"], busy.refuses["nn/a.b"] = errorcode.KDC_ERR_SVC_UNAVAILABLE, errorcode.KDC_ERR_SVC_UNAVAILABLE
	})
	odd.set(func() { odd.mangle = func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") } })
	want(t, good.byKeytab(configOf(t, busy, odd, good)), "nn/a.b", good, "udp login", "udp login", "udp nn/a.b")

	l := busy.byKeytab(configOf(t, busy, odd))
	if _, err := l.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != Unreachable || !strings.Contains(err.Error(), "none of a KDC's") || !strings.Contains(err.Error(), "udp "+busy.address) {
		t.Errorf("none that answers: %v", err)
	}
}

// A KDC that takes requests and answers none holds nobody up for long, and the one that answers is asked first from then on.
func TestHungKDC(t *testing.T) {
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close() // its connections too
	k := newKDC(t, "EXAMPLE.COM")
	text := "[libdefaults]\ndefault_realm = EXAMPLE.COM\nudp_preference_limit = 1\n[realms]\nEXAMPLE.COM = {\nkdc = " + hung.Addr().String() + "\nkdc = " + k.address + "\n}\n"
	c, err := LoadConfig(env("KRB5_CONFIG", write(t, filepath.Join(t.TempDir(), "krb5.conf"), []byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	l := k.byKeytab(c)
	want(t, l, "nn/a.b", k, "tcp login", "tcp login", "tcp nn/a.b")
	if good := l.client.good["EXAMPLE.COM"]; good != (way{"tcp", k.address}) {
		t.Errorf("%v is asked first from now on", good)
	}
	// It was asked once: the one that answered has been first since.
	hung.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	asked := 0
	for ; ; asked++ {
		conn, err := hung.Accept()
		if err != nil {
			break
		}
		conn.Close()
	}
	if asked != 1 {
		t.Errorf("the one that hangs was asked %d times", asked)
	}
}

// However many do not answer, the last of them is asked while there is time for its answer.
func TestManyHungKDCs(t *testing.T) {
	hung, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	k := newKDC(t, "EXAMPLE.COM")
	var deaf []string
	for range 6 {
		deaf = append(deaf, "kdc = "+hung.LocalAddr().String()) // nothing listens there by TCP: packets are lost
	}
	text := "[libdefaults]\ndefault_realm = EXAMPLE.COM\nudp_preference_limit = 4096\n[realms]\nEXAMPLE.COM = {\n" + strings.Join(deaf, "\n") + "\nkdc = " + k.address + "\n}\n"
	c, err := LoadConfig(env("KRB5_CONFIG", write(t, filepath.Join(t.TempDir(), "krb5.conf"), []byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	l := k.byKeytab(c)
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if _, err := l.ServiceTicket(ctx, "nn/a.b"); err != nil {
		t.Errorf("%v", err)
	}
}

// A ticket that a service does not take is got anew, and no other is forgotten for it.
func TestForget(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	l := k.byKeytab(configOf(t, k))
	first, err := l.ServiceTicket(t.Context(), "nn/a.b")
	if err != nil {
		t.Fatal(err)
	}
	k.askedFor()
	if !l.Forget("nn/a.b@EXAMPLE.COM", first) {
		t.Error("it was not kept")
	}
	want(t, l, "nn/a.b", k, "udp nn/a.b")
	if l.Forget("nn/a.b@EXAMPLE.COM", first) || l.Forget("nn/c.d", first) {
		t.Error("another was forgotten")
	}
	want(t, l, "nn/a.b", k)
}

// Somebody in between cannot have a key of a weak type used: what was not asked for is not taken.
func TestWeakHint(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM", 18)
	if err := k.keys.AddEntry("alice", k.realm, "secret", time.Now(), 1, 23); err != nil { // RC4
		t.Fatal(err)
	}
	k.set(func() { k.types = []int32{23} })
	if _, err := k.byKeytab(configOf(t, k)).ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != NoCommonType {
		t.Errorf("%v", err)
	}
	if got := k.askedFor(); !slices.Equal(got, []string{"udp login"}) {
		t.Errorf("it was asked for %q", got)
	}
}

// Who is answered that his pre-authentication has failed, and has shown none, shows it.
func TestFailedWithoutPreauthentication(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	first := true
	k.set(func() {
		k.mangle = func(b []byte) []byte {
			if first {
				first = false
				return k.refusal(grants(k.realm), errorcode.KDC_ERR_PREAUTH_FAILED, k.hints())
			}
			return b
		}
	})
	want(t, k.byKeytab(configOf(t, k)), "nn/a.b", k, "udp login", "udp login", "udp nn/a.b")
}

// A ticket that was renewed began when it was, and not when its owner said who he is.
func TestRenewedTicketBegan(t *testing.T) {
	login, renewed := time.Now().Add(-72*time.Hour), time.Now()
	if got := newTicket(messages.Ticket{}, messages.EncKDCRepPart{AuthTime: login, StartTime: renewed}); !got.since.Equal(renewed) {
		t.Errorf("since %v", got.since)
	}
	if got := newTicket(messages.Ticket{}, messages.EncKDCRepPart{AuthTime: login}); !got.since.Equal(login) {
		t.Errorf("without a start: since %v", got.since)
	}
}

// A length is not believed.
func TestHugeReply(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte{0xff, 0xff, 0xff, 0xff, 'x'})
			conn.Close()
		}
	}()
	path := write(t, filepath.Join(t.TempDir(), "cache"), cacheFile(t, time.Now().Add(time.Hour), grantsTickets))
	who, err := FromCache(example(t, l.Addr().String()), path)
	if err != nil {
		t.Fatal(err)
	}
	defer who.Close()
	if _, err := who.ServiceTicket(t.Context(), "nn/a.b"); KindOf(err) != Unreachable || !strings.Contains(err.Error(), "an answer of 4294967295 bytes") {
		t.Errorf("%v", err)
	}
}

// Whatever becomes of an answer on its way: an error, or the ticket that was asked for; never a panic, and no ticket
// for anything else.
func TestDamagedReplies(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	c := configOf(t, k)
	tried := 0
	for _, at := range []int{0, 1, 2} { // the error that asks for more, and the two kinds of answers
		for n := 1; n < 700; n += 7 {
			for _, damage := range []func(b []byte) []byte{
				func(b []byte) []byte { return b[:min(n, len(b)-1)] },
				func(b []byte) []byte { b[n%len(b)] ^= 0x41; return b },
			} {
				replies := 0
				k.set(func() {
					k.mangle = func(b []byte) []byte {
						if replies++; replies != at+1 {
							return b
						}
						return damage(b)
					}
				})
				l := k.byKeytab(c)
				cred, err := l.ServiceTicket(t.Context(), "nn/a.b@EXAMPLE.COM")
				if err == nil && (cred.Ticket.SName.PrincipalNameString() != "nn/a.b" || cred.Ticket.Realm != "EXAMPLE.COM") {
					t.Errorf("reply %d, byte %d: a ticket for %v", at, n, cred.Ticket.SName)
				}
				l.Close()
				tried++
			}
		}
	}
	t.Logf("%d damaged answers", tried)
}

// A ticket that is called one for another service than the KDC made it for is refused.
func TestNamed(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	l := k.byKeytab(configOf(t, k))
	want(t, l, "nn/a.b", k, "udp login", "udp login", "udp nn/a.b")
	k.set(func() {
		k.mangle = func(b []byte) []byte {
			var r messages.TGSRep
			if err := r.Unmarshal(b); err != nil {
				t.Error(err)
			}
			r.Ticket.SName.NameString = []string{"nn", "evil"}
			b, err := r.Marshal()
			if err != nil {
				t.Error(err)
			}
			return b
		}
	})
	if _, err := l.ServiceTicket(t.Context(), "nn/c.d"); err == nil || !strings.Contains(err.Error(), "called one for nn/evil, and is for nn/c.d") {
		t.Errorf("%v", err)
	}
}

// FuzzKDCReply reads what a KDC may answer to each of the two requests.
func FuzzKDCReply(f *testing.F) {
	k := newKDC(f, "EXAMPLE.COM")
	c := configOf(f, k)
	who := k.byKeytab(c)
	if _, err := who.ServiceTicket(context.Background(), "nn/a.b"); err != nil {
		f.Fatal(err)
	}
	as, err := messages.NewASReqForTGT(k.realm, who.client.cfg, who.client.who.CName())
	if err != nil {
		f.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f.Add(k.login(as)) // that pre-authentication is wanted
	if err := who.client.preauthenticate(&as, mustRefuse(f, k.login(as))); err != nil {
		f.Fatal(err)
	}
	f.Add(k.login(as))
	by := who.own()
	tgs, err := messages.NewTGSReq(who.client.who.CName(), k.realm, who.client.cfg, by.Ticket, by.key, types.NewPrincipalName(1, "nn/a.b"), false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.service(tgs))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := refusal(b)
		if e, ok := errors.AsType[messages.KRBError](err); ok {
			again := as
			err := safely(func() error { return who.client.preauthenticate(&again, e) })
			if err == nil && len(again.PAData) <= len(as.PAData) {
				t.Error("nothing was added, and no error")
			}
		}
		if got, err := who.client.readASReply(b, as); err == nil && got.SName.PrincipalNameString() != "krbtgt/EXAMPLE.COM" {
			t.Errorf("a ticket for %v", got.SName)
		}
		if got, next, err := who.client.readTGSReply(b, by.key, tgs); err == nil && next == "" && got.SName.PrincipalNameString() != "nn/a.b" {
			t.Errorf("a ticket for %v", got.SName)
		}
	})
}

func mustRefuse(t testing.TB, b []byte) messages.KRBError {
	t.Helper()
	e, ok := errors.AsType[messages.KRBError](refusal(b))
	if !ok {
		t.Fatalf("no refusal: %x", b)
	}
	return e
}

// Where krb5.conf has no KDC and the DNS is not to be asked, that is what is wrong.
func TestNoKDC(t *testing.T) {
	k := newKDCs(&config.Config{})
	for _, n := range []string{"udp", "tcp"} {
		if _, err := k.addresses(t.Context(), n, "NOWHERE.ORG"); KindOf(err) != BadConfig || !strings.Contains(fmt.Sprint(err), "names no KDC of the realm NOWHERE.ORG") {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// KDCs that have not answered for a while are not asked by everybody who comes, and are asked again in the end.
func TestSilentKDCsRest(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := example(t, silent.Addr().String())
	k := newKDCs(c.lib)
	within := func(wait time.Duration) (took time.Duration, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		began := time.Now()
		_, err = k.exchange(ctx, "EXAMPLE.COM", []byte("hello"))
		return time.Since(began), err
	}
	if _, err := within(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || len(k.silent) > 0 {
		t.Errorf("whoever has no patience says nothing of them: %v, %v", err, k.silent)
	}
	if _, err := within(silentAfter + 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || len(k.silent) != 1 {
		t.Errorf("%v, %v", err, k.silent)
	}
	if took, err := within(time.Minute); KindOf(err) != Unreachable || took > time.Second || !strings.Contains(err.Error(), "none is asked for 30s") {
		t.Errorf("%v after %v", err, took)
	}
	k.silent["EXAMPLE.COM"] = time.Now().Add(-restFor)
	if _, err := within(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || len(k.silent) > 0 {
		t.Errorf("after their rest: %v, %v", err, k.silent)
	}
}

// KDCs are where krb5.conf says that they are now; one that is damaged, or gone, changes nothing.
func TestKDCMoves(t *testing.T) {
	k := newKDC(t, "EXAMPLE.COM")
	conf := func(kdc string) []byte {
		return []byte("[libdefaults]\n dns_lookup_kdc = false\n[realms]\n EXAMPLE.COM = {\n" + kdc + " }\n[domain_realm]\n .elsewhere.org = ELSEWHERE.ORG\n")
	}
	path := write(t, filepath.Join(t.TempDir(), "krb5.conf"), conf(""))
	c, err := LoadConfig(env("KRB5_CONFIG", path+":"+path+".more"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := FromKeytab(c, k.keytabFile(), "alice@EXAMPLE.COM")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ticket := func(service string) Kind {
		_, err := l.ServiceTicket(t.Context(), service)
		if err != nil && KindOf(err) == "" {
			t.Fatal(err)
		}
		return KindOf(err)
	}
	var named sync.WaitGroup // by others, meanwhile
	defer named.Wait()
	named.Go(func() {
		for range 1000 {
			l.named("nn/host.example.com")
		}
	})
	for n, step := range []struct {
		what string
		conf []byte
		want Kind
	}{
		{"no KDC", conf(""), BadConfig},
		{"one that is not there", conf("  kdc = 127.0.0.1:1\n"), Unreachable},
		{"the right one", conf("  kdc = " + k.address + "\n"), ""},
		{"none again", conf(""), BadConfig},
		{"the right one again", conf("  kdc = " + k.address + "\n"), ""},
		{"damaged", []byte("[realms\n"), ""},
	} {
		write(t, path, step.conf)
		if got := ticket(fmt.Sprintf("nn/host-%d", n)); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := ticket("nn/host-x"); got != "" {
		t.Errorf("a file that is gone: %q", got)
	}
	write(t, path+".more", conf("")) // and the other one came
	if got := ticket("nn/host-y"); got != BadConfig {
		t.Errorf("a file that came: %q", got)
	}
}

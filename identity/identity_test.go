package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"
)

const testApp = "application_1700000000000_0001"

func testCA(t testing.TB, app string) *CA {
	t.Helper()
	ca, err := NewCA(NewSeed(), app)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func testIdentity(t testing.TB, ca *CA, role Role, name string) *Identity {
	t.Helper()
	id, err := ca.NewIdentity(Subject{ca.App(), role, name}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCAIsDeterministic(t *testing.T) {
	seed := NewSeed()
	a, err := NewCA(seed, testApp)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewCA(seed, testApp)
	if err != nil {
		t.Fatal(err)
	}
	if !a.key.Equal(b.key) || !bytes.Equal(a.cert.Raw, b.cert.Raw) {
		t.Error("the same seed and application gave two authorities")
	}
	for name, other := range map[string]*CA{"other seed": testCA(t, testApp), "other application": must(NewCA(seed, "local_1_0001"))(t)} {
		if a.key.Equal(other.key) {
			t.Errorf("%s: same key", name)
		}
	}
}

// The derivation is a promise to attempts of the application master built from a
// later version: this seed must always give this authority.
func TestCADerivationIsFixed(t *testing.T) {
	var seed Seed
	for i := range seed {
		seed[i] = byte(i)
	}
	ca := must(NewCA(seed, testApp))(t)
	const want = "04e9822a9a2863d06b8fcd3abf0ccbb1db5a6d5ee4d952b95b1848dc075e162579ab075085395f377ebacbb17be1d52516424fb1a1da37d062b77ad9edd6261211"
	pub, err := ca.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", pub); got != want {
		t.Errorf("public key %s, want %s", got, want)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSeedText(t *testing.T) {
	seed := NewSeed()
	back, err := ParseSeed(seed.Encode())
	if err != nil || back != seed {
		t.Fatalf("ParseSeed(Encode) = %v, same: %v", err, back == seed)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("x", 64), strings.Repeat("0", 66)} {
		if _, err := ParseSeed([]byte(bad)); err == nil {
			t.Errorf("ParseSeed(%q) was accepted", bad)
		} else if bad != "" && bad != "00" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error quotes the seed: %v", err)
		}
	}
	if _, err := NewCA(Seed{}, testApp); err == nil {
		t.Error("an empty seed made an authority")
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	seed := NewSeed()
	ca := must(NewCA(seed, testApp))(t)
	id := testIdentity(t, ca, Worker, "container_1")
	req := must(NewRequest())(t)
	key := must(id.key.Bytes())(t)
	caKey := must(ca.key.Bytes())(t)
	reqKey := must(req.key.Bytes())(t)

	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "seed", seed, "ca", ca, "id", id, "req", req)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "seed", seed, "ca", ca, "id", id, "req", req)
	holder := struct{ Seed Seed }{seed}
	for _, verb := range []string{"%v", "%+v", "%s", "%x", "%d", "%q", "%#v"} {
		fmt.Fprintf(&out, verb, seed)
		fmt.Fprintf(&out, verb, holder)
		if verb == "%v" || verb == "%s" {
			fmt.Fprintf(&out, verb, id)
			fmt.Fprintf(&out, verb, req)
		}
	}
	js, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(js)
	for name, secret := range map[string][]byte{"seed": seed[:], "key": key, "authority's key": caKey, "request's key": reqKey} {
		for _, form := range []string{string(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint(secret), fmt.Sprintf("%d", secret)} {
			if strings.Contains(out.String(), form) {
				t.Errorf("the %s can be read in the output", name)
			}
		}
	}
	if !strings.Contains(out.String(), redacted) || !strings.Contains(out.String(), id.Subject().String()) {
		t.Error("the output says nothing at all")
	}
}

func TestSubjectsSurviveTheCertificate(t *testing.T) {
	ca := testCA(t, testApp)
	for _, name := range []string{
		"container_e17_1700000000000_0001_01_000002", "alice", "alice@EXAMPLE.COM", "nn/host.example.com@EXAMPLE.COM",
		"../am/x", "a b", "a%2Fb", "Ωmega", "x?y=z#f", "a;b,c", strings.Repeat("n", maxName),
	} {
		for _, role := range []Role{AppMaster, Scheduler, Worker, Client, Operator, Viewer} {
			id, err := ca.NewIdentity(Subject{testApp, role, name}, time.Hour)
			if err != nil {
				t.Fatalf("%s %q: %v", role, name, err)
			}
			got, err := subjectOf(id.cert.Load().Leaf)
			if err != nil || got != id.Subject() || got.Name != name || got.Role != role {
				t.Errorf("%s %q came back as %v, %v", role, name, got, err)
			}
		}
	}
}

func TestSubjectsThatAreRefused(t *testing.T) {
	ca := testCA(t, testApp)
	for _, sub := range []Subject{
		{"", Worker, "x"}, {"other_app", Worker, "x"}, {testApp, "", "x"}, {testApp, "root", "x"}, {testApp, Worker, ""},
		{testApp, Worker, "a\nb"}, {testApp, Worker, "a\x00"}, {testApp, Worker, "\xff"}, {testApp, Worker, strings.Repeat("n", maxName+1)},
		{"app/x", Worker, "x"}, {"app@x", Worker, "x"}, {"a:1", Worker, "x"},
	} {
		if _, err := ca.NewIdentity(sub, 0); err == nil {
			t.Errorf("%#v was signed", sub)
		}
	}
	for _, app := range []string{"", "a/b", "a b", "a:1", "a.b", "[::1]", strings.Repeat("a", maxApp+1)} {
		if _, err := NewCA(NewSeed(), app); err == nil {
			t.Errorf("an authority for %q was made", app)
		}
	}
}

func TestOtherSpellingsAreNoSubject(t *testing.T) {
	parse := func(s string) *url.URL { return must(url.Parse(s))(t) }
	for _, s := range []string{
		"https://app/worker/x", "yarnd://app/worker", "yarnd://app/worker/", "yarnd://app/Worker/x", "yarnd://app:1/worker/x", "yarnd://u@app/worker/x",
		"yarnd://app/worker/x?role=am", "yarnd://app/worker/x#am", "yarnd://app//worker/x", "yarnd:///worker/x", "yarnd://app/worker/%78", "yarnd:app/worker/x",
	} {
		if got, err := subjectOf(&x509.Certificate{URIs: []*url.URL{parse(s)}}); err == nil {
			t.Errorf("%s was read as %#v", s, got)
		}
	}
	good := parse("yarnd://app/worker/x")
	if got, err := subjectOf(&x509.Certificate{URIs: []*url.URL{good}}); err != nil || got != (Subject{"app", Worker, "x"}) {
		t.Errorf("%s: %v, %v", good, got, err)
	}
	if _, err := subjectOf(&x509.Certificate{URIs: []*url.URL{good, good}}); err == nil {
		t.Error("two subjects in one certificate were accepted")
	}
	if _, err := subjectOf(&x509.Certificate{}); err == nil {
		t.Error("a certificate without a subject was accepted")
	}
}

func TestPEMRoundTrip(t *testing.T) {
	ca := testCA(t, testApp)
	id := testIdentity(t, ca, Client, "alice@EXAMPLE.COM")
	text := must(id.PEM())(t)
	back, err := ParsePEM(text)
	if err != nil {
		t.Fatal(err)
	}
	if back.Subject() != id.Subject() || !back.key.Equal(id.key) || !bytes.Equal(back.CA().Raw, ca.Certificate().Raw) {
		t.Error("the credential came back different")
	}
	if parsed, err := ParseCA(ca.PEM()); err != nil || !parsed.Equal(ca.Certificate()) {
		t.Errorf("ParseCA: %v", err)
	}
	if bytes.Contains(ca.PEM(), []byte(pemKey)) {
		t.Error("the authority's PEM has a key in it")
	}
}

func TestCredentialsThatDoNotFit(t *testing.T) {
	ca, foreign := testCA(t, testApp), testCA(t, testApp)
	a, b := testIdentity(t, ca, Worker, "a"), testIdentity(t, ca, Worker, "b")
	f := testIdentity(t, foreign, Worker, "a")
	part := func(id *Identity) []string {
		return strings.SplitAfter(string(must(id.PEM())(t)), "-----\n")
	}
	pa, pb, pf := part(a), part(b), part(f)
	// Each block is its BEGIN line plus its body and END line.
	block := func(p []string, i int) string { return p[2*i] + p[2*i+1] }
	for name, text := range map[string]string{
		"empty":                       "",
		"other's certificate":         block(pa, 0) + block(pb, 1) + block(pa, 2),
		"certificate by a foreign CA": block(pa, 0) + block(pf, 1) + block(pa, 2),
		"foreign CA":                  block(pa, 0) + block(pa, 1) + block(pf, 2),
		"no authority":                block(pa, 0) + block(pa, 1),
		"swapped":                     block(pa, 1) + block(pa, 0) + block(pa, 2),
		"too long":                    strings.Repeat("x", maxPEM+1),
		"leaf as authority":           block(pa, 0) + block(pa, 1) + block(pa, 1),
	} {
		if _, err := ParsePEM([]byte(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := ParsePEM([]byte(block(pa, 0) + block(pa, 1) + block(pa, 2))); err != nil {
		t.Errorf("the untouched credential was refused: %v", err)
	}
	if _, err := ParseCA([]byte(block(pa, 1))); err == nil {
		t.Error("a leaf was taken for an authority")
	}
}

func TestRequests(t *testing.T) {
	ca := testCA(t, testApp)
	req := must(NewRequest())(t)
	sub := Subject{testApp, Worker, "container_1"}
	der := must(ca.Sign(req.CSR(), sub, time.Hour))(t)
	id, err := req.Identity(der, ca.Certificate())
	if err != nil || id.Subject() != sub {
		t.Fatalf("%v, %v", id, err)
	}
	if _, err := must(NewRequest())(t).Identity(der, ca.Certificate()); err == nil {
		t.Error("a certificate was accepted for another key")
	}
	if _, err := req.Identity(der, testCA(t, testApp).Certificate()); err == nil {
		t.Error("a certificate was accepted under another authority")
	}

	broken := bytes.Clone(req.CSR())
	broken[len(broken)-1] ^= 1
	for name, csr := range map[string][]byte{
		"signature changed": broken,
		"RSA":               csrFor(t, must(rsa.GenerateKey(rand.Reader, 2048))(t)),
		"P-384":             csrFor(t, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)),
		"too long":          make([]byte, maxCSR+1),
		"nothing":           nil,
	} {
		if _, err := ca.Sign(csr, sub, 0); err == nil {
			t.Errorf("%s: a certificate was signed", name)
		}
	}
}

func csrFor(t *testing.T, key any) []byte {
	t.Helper()
	return must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))(t)
}

// A request that asks to be somebody else gets what the caller decided.
func TestRequestCannotChooseItsSubject(t *testing.T) {
	ca := testCA(t, testApp)
	key := must(newKey())(t)
	csr := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		URIs:     []*url.URL{Subject{testApp, AppMaster, "x"}.uri()},
		DNSNames: []string{"am.example.com"},
	}, key))(t)
	der := must(ca.Sign(csr, Subject{testApp, Worker, "w"}, 0))(t)
	cert := must(x509.ParseCertificate(der))(t)
	if sub, err := subjectOf(cert); err != nil || sub.Role != Worker || sub.Name != "w" || len(cert.DNSNames) != 0 || cert.IsCA {
		t.Errorf("%v, %v, %v", sub, err, cert.DNSNames)
	}
}

func TestLifetimes(t *testing.T) {
	ca := testCA(t, testApp)
	now := time.Now().Truncate(time.Second) // certificates count in seconds
	ca.now = func() time.Time { return now }
	id := must(ca.NewIdentity(Subject{testApp, Worker, "w"}, 30*time.Hour))(t)
	if got := id.NotAfter().Sub(now).Round(time.Second); got != 30*time.Hour {
		t.Errorf("ends after %v", got)
	}
	if got := id.RenewAt().Sub(now).Round(time.Second); got != 20*time.Hour {
		t.Errorf("renew after %v", got)
	}
	for _, ttl := range []time.Duration{-1, MaxTTL + 1} {
		if _, err := ca.NewIdentity(Subject{testApp, Worker, "w"}, ttl); err == nil {
			t.Errorf("ttl %v was accepted", ttl)
		}
	}
}

func TestRenew(t *testing.T) {
	ca := testCA(t, testApp)
	id := must(ca.NewIdentity(Subject{testApp, Worker, "w"}, time.Hour))(t)
	csr := must(id.CSR())(t)
	if err := id.Renew(must(ca.Sign(csr, Subject{testApp, AppMaster, "w"}, 0))(t)); err == nil {
		t.Error("renewing changed the subject")
	}
	if err := id.Renew(must(testCA(t, testApp).Sign(csr, id.Subject(), 0))(t)); err == nil {
		t.Error("a foreign authority renewed the certificate")
	}
	before := id.NotAfter()
	if err := id.Renew(must(ca.Sign(csr, id.Subject(), 48*time.Hour))(t)); err != nil {
		t.Fatal(err)
	}
	if !id.NotAfter().After(before) {
		t.Error("the renewed certificate does not last longer")
	}
}

func FuzzParsePEM(f *testing.F) {
	ca := testCA(f, testApp)
	id := testIdentity(f, ca, Worker, "w")
	text, err := id.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(ca.PEM())
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if id, err := ParsePEM(text); err == nil && id.Subject().Validate() != nil {
			t.Errorf("accepted %v", id.Subject())
		}
		ParseCA(text)
	})
}

func FuzzRequestKey(f *testing.F) {
	req, err := NewRequest()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(req.CSR())
	f.Fuzz(func(t *testing.T, csr []byte) {
		if key, err := RequestKey(csr); err == nil && key.Curve != elliptic.P256() {
			t.Error("accepted another curve")
		}
	})
}

func TestAttempt(t *testing.T) {
	for _, x := range []struct {
		s    Subject
		want int
	}{
		{Subject{Role: AppMaster, Name: MasterName(2, "container_e17_1_0001_02_000001")}, 2},
		{Subject{Role: AppMaster, Name: "am"}, 0},
		{Subject{Role: AppMaster, Name: "-1:am"}, 0},
		{Subject{Role: AppMaster, Name: "x:am"}, 0},
		{Subject{Role: Worker, Name: "2:am"}, 0}, // no other role has one, whatever its name
	} {
		if got := x.s.Attempt(); got != x.want {
			t.Errorf("%v: %d, want %d", x.s, got, x.want)
		}
	}
}

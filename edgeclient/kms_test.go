package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/kms/kmstest"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// encrypted is a cluster with Kerberos whose NameNode names a KMS, and what was said to its user.
func encrypted(t *testing.T, o kmstest.Options, uri func(*kmstest.Server) string) (*yarnCluster, *kmstest.Server, *[]string) {
	t.Helper()
	u, err := user.Current() // who owns what the fake has
	if err != nil {
		t.Fatal(err)
	}
	const service = "nn/127.0.0.1"
	o.Realm = &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
	k := kmstest.Start(o)
	t.Cleanup(k.Close)
	nn, err := hdfstest.Start(hdfstest.Options{Dir: t.TempDir(), KeyProvider: uri(k), Transfer: hdfstest.Transfer{Protection: sasl.QOPConf}, Security: hadooptest.Options{
		Kerberos: func() *gssapi.Acceptor { return o.Realm.Acceptor(service) }, Service: service, QOPs: []sasl.QOP{sasl.QOPConf}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nn.Close() })
	var said []string
	y := &yarnCluster{
		conf: conf.FromMap(map[string]string{"fs.defaultFS": nn.URL(), "hadoop.security.authentication": "kerberos", "hadoop.rpc.protection": "privacy",
			"dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM", "dfs.data.transfer.protection": "privacy"}),
		user: u.Username, who: login.With(u.Username, gssapi.Tickets{Issuer: o.Realm, Client: u.Username}, nil),
		opts: Options{CallTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler), Progress: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }},
	}
	t.Cleanup(func() {
		if y.fs != nil {
			y.fs.Close()
		}
	})
	return y, k, &said
}

// The KMS's token is among those that an application gets, with the same renewer, and ends with the others.
func TestTokenOfKMS(t *testing.T) {
	y, k, said := encrypted(t, kmstest.Options{RenewLife: time.Hour}, (*kmstest.Server).URI)
	d, err := y.delegate(t.Context(), needs{warn: true}, "yarn/rm.example.com@EXAMPLE.COM")
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	tok, ok := d.all.Select(token.KindKMS)
	if !ok || tok.Service != k.URI() || !slices.Equal(k.Tokens(), []string{y.user + " for yarn"}) || len(d.all.Tokens) != 2 {
		t.Errorf("%v; it gave %v", d.all, k.Tokens())
	}
	if want := "warning: others on the network can read the token of " + k.URI(); len(*said) != 1 || !strings.HasPrefix((*said)[0], want) {
		t.Errorf("%q", *said)
	}
	if err := d.own.Cancel(t.Context()); err != nil || len(k.Tokens()) != 0 {
		t.Errorf("%v; left: %v", err, k.Tokens())
	}
	forNobody, err := y.delegate(t.Context(), needs{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer forNobody.close()
	if left := time.Until(forNobody.until); left > time.Hour || left < 50*time.Minute || !slices.Equal(k.Tokens(), []string{y.user + " for "}) || len(*said) != 1 {
		t.Errorf("they end in %v; left: %v; said: %q", left, k.Tokens(), *said)
	}
}

// doctor says beforehand whether there will be one, and leaves none.
func TestDoctorLooksAtKMS(t *testing.T) {
	none := func(*kmstest.Server) string { return "" }
	for what, c := range map[string]struct {
		tls     bool
		uri     func(*kmstest.Server) string
		does    http.HandlerFunc
		strict  bool
		verdict Verdict // "": there is nothing to say
		text    string
	}{
		"none":             {uri: none},
		"one":              {uri: (*kmstest.Server).URI, verdict: Warn, text: "others on the network can read the token of kms://http@"},
		"strict":           {uri: (*kmstest.Server).URI, strict: true, verdict: Fail, text: "does not keep what is sent secret"},
		"not trusted":      {tls: true, uri: (*kmstest.Server).URI, verdict: Fail, text: "cannot get a token for encryption zones: KMS https://"},
		"one that refuses": {uri: (*kmstest.Server).URI, does: http.NotFound, verdict: Fail, text: "it refuses (HTTP 404)"},
	} {
		y, k, _ := encrypted(t, kmstest.Options{TLS: c.tls}, c.uri)
		k.SetTrouble(c.does)
		d := &doctor{ctx: t.Context(), request: Request{Strict: c.strict}}
		d.keys(y)
		switch {
		case c.verdict == "" && len(d.found) == 0:
		case len(d.found) != 1 || d.found[0].Check != "encryption zones" || d.found[0].Verdict != c.verdict || !strings.Contains(d.found[0].Detail, c.text) || d.found[0].Next == "":
			t.Errorf("%s: %+v", what, d.found)
		}
		if c.verdict == Warn && len(k.Log()) != 2 || len(k.Tokens()) != 0 {
			t.Errorf("%s: asked %q, left %q", what, k.Log(), k.Tokens())
		}
	}
}

// A KMS from which there is no token ends the submission, with what to do.
func TestNoTokenOfKMS(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	at := func(uri string) func(*kmstest.Server) string { return func(*kmstest.Server) string { return uri } }
	for what, c := range map[string]struct {
		o     kmstest.Options
		uri   func(*kmstest.Server) string
		does  http.HandlerFunc
		needs needs
		code  Code
		texts []string
	}{
		"nobody listens": {uri: at("kms://http@" + nobody.Addr().String() + "/kms"), code: TimedOut,
			texts: []string{"cannot get delegation tokens: KMS http://" + nobody.Addr().String() + "/kms: it does not answer", ". See whether the KMS runs; or add -D dfs.client.ignore.namenode.default.kms.uri=true"}},
		"silence": {uri: (*kmstest.Server).URI, code: TimedOut, does: func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() },
			texts: []string{"it has not answered in time"}},
		"an unknown certificate": {o: kmstest.Options{TLS: true}, uri: (*kmstest.Server).URI, code: Auth, texts: []string{"nobody whom this machine trusts vouches for its certificate", ". Add its authority"}},
		"no URI":                 {uri: at("kms://nobody"), code: Usage, texts: []string{"KMS kms://nobody: it does not say http@ or https@"}},
		"a refusal": {uri: (*kmstest.Server).URI, code: Auth, does: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
			texts: []string{"it refuses (HTTP 403): Forbidden. Ask its administrator"}},
		"in clear, strict": {uri: (*kmstest.Server).URI, needs: needs{strict: true}, code: Refused, texts: []string{"others on the network can read the token of kms://http@", "or submit without --strict"}},
	} {
		y, k, _ := encrypted(t, c.o, c.uri)
		y.opts.CallTimeout = time.Second
		k.SetTrouble(c.does)
		_, err := y.delegate(t.Context(), c.needs, "yarn")
		if CodeOf(err) != c.code || !errors.As(err, new(*Fault)) {
			t.Errorf("%s: code %d: %v", what, CodeOf(err), err)
		}
		for _, text := range c.texts {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", what, err, text)
			}
		}
	}
	y, _, _ := encrypted(t, kmstest.Options{}, at("kms://http@"+nobody.Addr().String()+"/kms"))
	y.conf = y.conf.With(map[string]string{"dfs.client.ignore.namenode.default.kms.uri": "true"})
	d, err := y.delegate(t.Context(), needs{}, "yarn")
	if err != nil || len(d.all.Tokens) != 1 {
		t.Fatalf("without: %v", err)
	}
	d.close()
}

// What the KMS does not do is known before anything is uploaded, and leaves nothing behind.
func TestSubmitLooksAtKMSFirst(t *testing.T) {
	for what, c := range map[string]struct {
		does   http.HandlerFunc
		strict bool
		code   Code
		text   string
	}{
		"in clear":         {nil, false, OK, ""},
		"in clear, strict": {nil, true, Refused, "or submit without --strict"},
		"it refuses":       {http.NotFound, false, Auth, "cannot get a token for encryption zones: KMS http://"},
	} {
		y, k, said := encrypted(t, kmstest.Options{}, (*kmstest.Server).URI)
		k.SetTrouble(c.does)
		y.conf = y.conf.With(map[string]string{"yarn.resourcemanager.hostname": "127.0.0.1", "yarn.resourcemanager.principal": "yarn/_HOST@EXAMPLE.COM"})
		steps := 0
		client := &Client{cluster: willing{y}, opts: y.opts, onStep: func(step) { steps++ }}
		err := client.preflight(t.Context(), Request{Strict: c.strict}, program{}, Resources{})
		if CodeOf(err) != c.code || c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: code %d: %v", what, CodeOf(err), err)
		}
		if warned := slices.ContainsFunc(*said, func(s string) bool {
			return strings.HasPrefix(s, "warning: others on the network can read the token of")
		}); warned == c.strict || len(k.Tokens()) != 0 || steps != 0 {
			t.Errorf("%s: said %q, left %q, %d steps", what, *said, k.Tokens(), steps)
		}
		y.conf = y.conf.With(map[string]string{"yarn.resourcemanager.principal": ""})
		if err := y.CheckTokens(t.Context(), Request{}); CodeOf(err) != Usage || !strings.Contains(err.Error(), "yarn.resourcemanager.principal is not set") {
			t.Errorf("%s, nobody to renew tokens: %v", what, err)
		}
	}
}

// willing is a cluster whose ResourceManager has no objections.
type willing struct{ *yarnCluster }

func (willing) Check(context.Context, Request, Resources) error { return nil }

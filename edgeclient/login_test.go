package edgeclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
)

// What is wrong with a login is told with what to do, whoever met it.
func TestLoginFaults(t *testing.T) {
	expired := &krb5.Error{Kind: krb5.Expired, Reason: "the ticket of alice@A.B has expired", Cure: "get a new one with: kinit alice@A.B"}
	for _, c := range []struct {
		err  error
		code Code
		want string
	}{
		{expired, Auth, "it failed: Kerberos: the ticket of alice@A.B has expired. Get a new one with: kinit alice@A.B"},
		{fmt.Errorf("call: %w", &hdfs.Error{Op: "open", Path: "hdfs://nn", Kind: hdfs.ErrAuth, Err: expired}), Auth, "has expired. Get a new one"},
		{&krb5.Error{Kind: krb5.Unreachable, Reason: "no KDC answers", Cure: "is the network up?"}, TimedOut, "no KDC answers. Is the network up?"},
		{&krb5.Error{Kind: krb5.Refused, Reason: "no"}, Auth, "Kerberos: no. Show this to an administrator"},
		{&login.Error{Reason: "there is no ticket, and no token for hdfs://x", Cure: "run: kinit"}, Auth, "no token for hdfs://x. Run: kinit"},
		{&sasl.Error{Reason: "the server is another"}, Auth, "the server is another. Check that HADOOP_CONF_DIR"},
	} {
		err := loginFault("it failed", c.err)
		if CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: code %d: %v", c.err, CodeOf(err), err)
		}
	}
	other := errors.New("other")
	if err := loginFault("it failed", other); err != other {
		t.Errorf("%v", err)
	}
	f := fsFault("cannot look", &hdfs.Error{Op: "open", Path: "hdfs://nn", Kind: hdfs.ErrAuth, Detail: "token can't be found in cache"})
	if CodeOf(f) != Auth || !strings.Contains(f.Error(), "klist") {
		t.Errorf("a NameNode that refuses: %v", f)
	}
}

func TestTokensThatEndAreTold(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		left   time.Duration
		renews bool
		want   string // "" is nothing
	}{
		{24 * time.Hour, false, ""},
		{11*time.Hour + 3*time.Second, false, "its tokens end in 11h0m0s: run yarnd renew app before"},
		{20 * time.Second, true, ""},
		{-20 * time.Second, true, "its tokens have ended, 20s ago"},
		{-20 * time.Second, false, "its tokens have ended, 20s ago"},
	} {
		info := &ampb.Info{App: "app", Delegation: &ampb.Delegation{Until: timestamppb.New(now.Add(c.left)), Renews: c.renews}}
		if got := DelegationEnds(info, now); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%v left, renews %v: %q", c.left, c.renews, got)
		}
	}
	for what, d := range map[string]*ampb.Delegation{
		"cannot get new tokens, and its own end in 20m0s: no KDC answers": {Renews: true, Until: timestamppb.New(now.Add(20 * time.Minute)), Trouble: "no KDC answers"},
		"": {Since: timestamppb.New(now.Add(-time.Minute)), Until: timestamppb.New(now.Add(2 * time.Minute))}, // of a cluster where they live for three
	} {
		if got := DelegationEnds(&ampb.Info{Delegation: d}, now); !strings.Contains(got, what) || what == "" && got != "" {
			t.Errorf("%v: %q", d, got)
		}
	}
	refused := &ampb.Info{App: "app", Delegation: &ampb.Delegation{AtMost: true, Until: timestamppb.New(now.Add(-3 * time.Minute))}}
	if got := DelegationEnds(refused, now); !strings.HasPrefix(got, "its tokens have ended, or were cancelled, 3m0s ago") || !strings.HasSuffix(got, "yarnd renew app") {
		t.Errorf("refused ones: %q", got)
	}
	for _, info := range []*ampb.Info{{}, {Delegation: &ampb.Delegation{}}} {
		if got := DelegationEnds(info, now); got != "" {
			t.Errorf("%v: %q", info, got)
		}
	}
}

// A command of the owner brings new tokens in time: before a known end, and where the end is but a bound before the first
// day is over on which YARN may have failed to renew them.
func TestTokensAreDue(t *testing.T) {
	now := time.Now()
	const week = 7 * 24 * time.Hour
	for _, c := range []struct {
		what      string
		age, left time.Duration
		since     time.Duration // ago; 0: with the submission
		atMost    bool
		want      bool
	}{
		{"a known end, far away", 20 * time.Hour, 13 * time.Hour, 11 * time.Hour, false, false},
		{"a known end, near", 20 * time.Hour, 11 * time.Hour, 13 * time.Hour, false, true},
		{"new ones of a cluster where they live for three minutes", time.Hour, 2 * time.Minute, time.Minute, false, false},
		{"a bound, just submitted", time.Hour, week - time.Hour, 0, true, false},
		{"a bound, after half a day", 12 * time.Hour, week - 12*time.Hour, 0, true, true},
		{"a bound, after two days", 48 * time.Hour, week - 48*time.Hour, 0, true, true},
		{"a bound of four minutes, just submitted", 10 * time.Second, 230 * time.Second, 0, true, false},
		{"a bound of four minutes", 20 * time.Second, 220 * time.Second, 0, true, true},
		{"refused", time.Hour, -time.Minute, 0, true, true},
	} {
		d := &ampb.Delegation{Until: timestamppb.New(now.Add(c.left)), AtMost: c.atMost}
		if c.since > 0 {
			d.Since = timestamppb.New(now.Add(-c.since))
		}
		if got := due(d, now.Add(-c.age), now); got != c.want {
			t.Errorf("%s: due %v", c.what, got)
		}
	}
}

// What an application has no use for is cancelled, what it may use is not.
func TestUnused(t *testing.T) {
	for what, c := range map[string]struct {
		kept bool
		err  error
		want bool
	}{
		"taken":                    {false, nil, false},
		"it has better ones":       {true, nil, true},
		"an error of another sort": {false, errors.New("x"), false},
	} {
		if got := unused(c.kept, c.err); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// Whoever may read everybody's files, and so connects to another's application, does not give it his own tokens.
func TestTokensAreForOnesOwn(t *testing.T) {
	site := conf.FromMap(map[string]string{"hadoop.security.authentication": "kerberos"})
	c := &Client{cluster: &yarnCluster{conf: site, user: "hdfs", who: login.With("hdfs", gssapi.Tickets{}, nil)}}
	s := &Session{App: Report{ID: "app", User: "alice"}}
	if _, err := c.Renew(t.Context(), s); CodeOf(err) != Auth || !strings.Contains(err.Error(), "it acts in the name of alice, and you are hdfs") {
		t.Errorf("%v", err)
	}
	soon := &ampb.Info{Delegation: &ampb.Delegation{Until: timestamppb.New(time.Now())}}
	c.renewInTime(t.Context(), s, soon) // would panic: there is no application master
}

func TestRenewer(t *testing.T) {
	for _, c := range []struct {
		principal string
		addrs     []string
		want      string
	}{
		{"rm/_HOST@A.B", []string{"RM1.a.b:8032", "rm2.a.b:8032"}, "rm/rm1.a.b@A.B"},
		{"rm/fixed.a.b@A.B", []string{"rm1.a.b:8032"}, "rm/fixed.a.b@A.B"},
		{"yarn@A.B", []string{"rm1.a.b:8032"}, "yarn@A.B"},
	} {
		if got, err := renewerOf(c.principal, c.addrs); got != c.want || err != nil {
			t.Errorf("%s: %q, %v", c.principal, got, err)
		}
	}
	if _, err := renewerOf("", []string{"rm:8032"}); CodeOf(err) != Usage || !strings.Contains(err.Error(), "yarn.resourcemanager.principal") {
		t.Errorf("no principal: %v", err)
	}
}

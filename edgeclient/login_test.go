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
	for _, info := range []*ampb.Info{{}, {Delegation: &ampb.Delegation{}}} {
		if got := DelegationEnds(info, now); got != "" {
			t.Errorf("%v: %q", info, got)
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

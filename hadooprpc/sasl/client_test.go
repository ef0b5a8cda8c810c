package sasl

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// scripted is a mechanism that answers each challenge by its echo and is done after a number of steps.
type scripted struct {
	method Method
	steps  int
	first  bool
}

func (m scripted) Method() Method                { return m.method }
func (m scripted) SASLName() string              { return "MECH" }
func (m scripted) Begin(Offer) (Exchange, error) { m2 := m; return &m2, nil }
func (m *scripted) ClientFirst() bool            { return m.first }
func (m *scripted) Done() bool                   { return m.steps == 0 }
func (m *scripted) Layer() Layer                 { return nil }
func (m *scripted) Step(c []byte) ([]byte, error) {
	if string(c) == "bad" {
		return nil, errors.New("mechanism says no")
	}
	if m.steps--; m.steps == 0 && !m.first {
		return nil, nil
	}
	return append([]byte("re:"), c...), nil
}

// noTicket is Kerberos without a ticket.
type noTicket struct{ scripted }

var errNoKDC = errors.New("no KDC answers")

func (noTicket) Begin(Offer) (Exchange, error) { return nil, &NoTicketError{errNoKDC} }

// What a server says of a token is told with why there was no ticket, and stays what it is.
func TestTokenForWantOfATicket(t *testing.T) {
	krb, tok := noTicket{scripted{method: Kerberos, first: true}}, scripted{method: Token, steps: 3}
	c := NewClient([]Mechanism{krb, tok}, true)
	c.Start()
	if _, _, err := c.Step(negotiate(auth("KERBEROS", "MECH", nil), auth("TOKEN", "MECH", []byte("c")))); err != nil {
		t.Fatal(err)
	}
	theirs := errors.New("token expired")
	if err := c.Explain(theirs); !errors.Is(err, theirs) || errors.Is(err, errNoKDC) || !strings.Contains(err.Error(), "for want of a ticket: no KDC answers") {
		t.Errorf("the server's error: %v", err)
	}
	if _, _, err := c.Step(msg(pb.RpcSasl_CHALLENGE, "bad")); err == nil || !strings.Contains(err.Error(), "mechanism says no (by a token, for want of a ticket: no KDC answers)") {
		t.Errorf("our own error: %v", err)
	}
	// Without a token the ticket's is the error, whether the server takes one or not; another error of Kerberos ends it.
	for _, mechs := range [][]Mechanism{{krb}, {krb, scripted{method: "OTHER"}}} {
		c := NewClient(mechs, true)
		c.Start()
		if _, _, err := c.Step(negotiate(auth("TOKEN", "MECH", []byte("c")), auth("KERBEROS", "MECH", nil))); !errors.Is(err, errNoKDC) || strings.Contains(err.Error(), "by a token") {
			t.Errorf("%v", err)
		}
	}
	c = NewClient([]Mechanism{impostor(krb), tok}, true)
	c.Start()
	if _, _, err := c.Step(negotiate(auth("KERBEROS", "MECH", nil), auth("TOKEN", "MECH", []byte("c")))); !errors.Is(err, errImpostor) {
		t.Errorf("a server that is another than it should be: %v", err)
	}
}

// impostor is Kerberos with a server that says it is somebody else.
type impostor struct{ scripted }

var errImpostor = errors.New("the server says it is somebody else")

func (impostor) Begin(Offer) (Exchange, error) { return nil, errImpostor }

func auth(method, mech string, challenge []byte) *pb.RpcSasl_SaslAuth {
	return &pb.RpcSasl_SaslAuth{Method: &method, Mechanism: &mech, Protocol: proto.String(""), ServerId: proto.String("default"), Challenge: challenge}
}

func negotiate(a ...*pb.RpcSasl_SaslAuth) *pb.RpcSasl {
	return &pb.RpcSasl{State: pb.RpcSasl_NEGOTIATE.Enum(), Auths: a}
}

func msg(s pb.RpcSasl_SaslState, token string) *pb.RpcSasl {
	m := &pb.RpcSasl{State: s.Enum()}
	if token != "" {
		m.Token = []byte(token)
	}
	return m
}

func TestClientHappyPaths(t *testing.T) {
	tok := scripted{method: Token, steps: 2}
	krb := scripted{method: Kerberos, steps: 2, first: true}
	for _, tc := range []struct {
		name   string
		mechs  []Mechanism
		secure bool
		in     []*pb.RpcSasl
		out    []string // "" for nothing to send
		want   Method
	}{
		{"token with the challenge in the offer", []Mechanism{tok}, true,
			[]*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", []byte("c"))), msg(pb.RpcSasl_SUCCESS, "proof")},
			[]string{`INITIATE "re:c" TOKEN`, ""}, Token},
		{"client speaks first", []Mechanism{krb}, true,
			[]*pb.RpcSasl{negotiate(auth("KERBEROS", "MECH", nil)), msg(pb.RpcSasl_CHALLENGE, "c2"), msg(pb.RpcSasl_SUCCESS, "")},
			[]string{`INITIATE "re:" KERBEROS`, `RESPONSE "re:c2"`, ""}, Kerberos},
		{"server speaks first, after INITIATE", []Mechanism{tok}, true,
			[]*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", nil)), msg(pb.RpcSasl_CHALLENGE, "c"), msg(pb.RpcSasl_SUCCESS, "p")},
			[]string{`INITIATE "" TOKEN`, `RESPONSE "re:c"`, ""}, Token},
		{"the client's order decides", []Mechanism{krb, tok}, true,
			[]*pb.RpcSasl{negotiate(auth("NEW", "X", nil), auth("KERBEROS", "OTHER", nil), auth("TOKEN", "MECH", []byte("c")), auth("KERBEROS", "MECH", nil))},
			[]string{`INITIATE "re:" KERBEROS`}, Kerberos},
		{"a token, for want of a ticket", []Mechanism{noTicket{krb}, tok}, true,
			[]*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", []byte("c")), auth("KERBEROS", "MECH", nil)), msg(pb.RpcSasl_SUCCESS, "proof")},
			[]string{`INITIATE "re:c" TOKEN`, ""}, Token},
		{"SIMPLE where the server names it first", []Mechanism{tok}, false,
			[]*pb.RpcSasl{negotiate(auth("SIMPLE", "", nil), auth("TOKEN", "MECH", []byte("c")))}, []string{`INITIATE "" SIMPLE`}, Simple},
		{"no SIMPLE where it names it last", []Mechanism{tok}, false,
			[]*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", []byte("c")), auth("SIMPLE", "", nil))}, []string{`INITIATE "re:c" TOKEN`}, Token},
		{"SIMPLE by SUCCESS", []Mechanism{tok}, false,
			[]*pb.RpcSasl{msg(pb.RpcSasl_SUCCESS, "")}, []string{""}, Simple},
		{"SIMPLE from the list, no answer awaited", nil, false,
			[]*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", nil), auth("SIMPLE", "", nil))}, []string{`INITIATE "" SIMPLE`}, Simple},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := NewClient(tc.mechs, tc.secure)
			if s := c.Start(); s.GetState() != pb.RpcSasl_NEGOTIATE {
				t.Fatal(s)
			}
			for i, in := range tc.in {
				out, over, err := c.Step(in)
				if err != nil {
					t.Fatal(i, err)
				}
				got := ""
				if out != nil {
					if out.Token == nil {
						t.Error("a reply without a token: servers refuse it")
					}
					got = out.GetState().String() + ` "` + string(out.GetToken()) + `"`
					for _, a := range out.GetAuths() {
						if a.Challenge != nil || a.Protocol == nil || a.ServerId == nil {
							t.Errorf("echoed offer %v", a)
						}
						got += " " + a.GetMethod()
					}
				}
				if got != tc.out[i] {
					t.Errorf("step %d: sent %s, want %s", i, got, tc.out[i])
				}
				if last := i == len(tc.in)-1; over != (last && (tc.want == Simple || i > 0)) {
					t.Errorf("step %d: over = %v", i, over)
				}
			}
			if c.Method() != tc.want {
				t.Errorf("method %s", c.Method())
			}
		})
	}
}

func TestClientRefuses(t *testing.T) {
	tok := scripted{method: Token, steps: 2}
	offer := negotiate(auth("TOKEN", "MECH", []byte("c")))
	for _, tc := range []struct {
		name   string
		secure bool
		in     []*pb.RpcSasl
		want   string
	}{
		{"downgrade by SUCCESS", true, []*pb.RpcSasl{msg(pb.RpcSasl_SUCCESS, "")}, "configured to be secure"},
		{"downgrade by a shortened list", true, []*pb.RpcSasl{negotiate(auth("SIMPLE", "", nil))}, "server offers SIMPLE"},
		{"an empty list", false, []*pb.RpcSasl{negotiate()}, "no way to authenticate"},
		{"a SIMPLE with a mechanism", false, []*pb.RpcSasl{negotiate(auth("SIMPLE", "MECH", nil))}, "no way to authenticate"},
		{"an unsolicited challenge", false, []*pb.RpcSasl{msg(pb.RpcSasl_CHALLENGE, "x")}, "unexpected message CHALLENGE"},
		{"a second list", false, []*pb.RpcSasl{offer, offer}, "unexpected message NEGOTIATE"},
		{"success without proof", false, []*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", nil)), msg(pb.RpcSasl_SUCCESS, "")}, "due"},
		{"a bad challenge", false, []*pb.RpcSasl{negotiate(auth("TOKEN", "MECH", []byte("bad")))}, "mechanism says no"},
		{"WRAP too early", false, []*pb.RpcSasl{offer, msg(pb.RpcSasl_WRAP, "x")}, "unexpected message WRAP"},
		{"after the end", false, []*pb.RpcSasl{offer, msg(pb.RpcSasl_SUCCESS, "p"), msg(pb.RpcSasl_CHALLENGE, "x")}, "unexpected message CHALLENGE"},
		{"after a failure", false, []*pb.RpcSasl{negotiate(), offer}, ""},
	} {
		c := NewClient([]Mechanism{tok}, tc.secure)
		c.Start()
		var err error
		for i, in := range tc.in {
			var over bool
			if _, over, err = c.Step(in); err != nil && over {
				t.Errorf("%s: over in spite of an error", tc.name)
			} else if err != nil && i < len(tc.in)-1 && tc.name != "after a failure" {
				t.Fatalf("%s: step %d: %v", tc.name, i, err)
			}
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// Any order of any messages must end in an error or in an agreed method, and a secure client never in SIMPLE.
func FuzzClient(f *testing.F) {
	f.Add([]byte{1, 3, 0}, true)
	f.Add([]byte{0}, false)
	f.Add([]byte{1, 0, 5, 4}, true)
	f.Fuzz(func(t *testing.T, states []byte, secure bool) {
		c := NewClient([]Mechanism{scripted{method: Token, steps: 2}}, secure)
		c.Start()
		for _, s := range states {
			in := msg(pb.RpcSasl_SaslState(s%6), "t")
			if s&0x40 != 0 {
				in.Token = nil
			}
			if s%6 == 1 {
				in.Auths = []*pb.RpcSasl_SaslAuth{auth("SIMPLE", "", nil), auth("TOKEN", "MECH", []byte("c"))}
			}
			_, over, err := c.Step(in)
			if err != nil {
				return
			}
			if over && secure && c.Method() != Token {
				t.Fatalf("a secure client agreed to %q", c.Method())
			}
		}
	})
}

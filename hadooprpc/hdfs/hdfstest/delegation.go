package hdfstest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Lives of a delegation token. Source: dfs.namenode.delegation.token.*.
const (
	renewLife = 24 * time.Hour
	maxLife   = 7 * 24 * time.Hour
)

// delegation holds the delegation tokens that are good. Source: AbstractDelegationTokenSecretManager.
type delegation struct {
	mu     sync.Mutex
	passed time.Duration // how much later it is for tokens than it is
	last   int32
	tokens map[string]*delegated // by identifier
}

// delegated is a token that was given.
type delegated struct {
	owner, renewer string // short names
	password       []byte
	until, max     time.Time
	text           string // how a NameNode names it
}

const (
	accessControl = "org.apache.hadoop.security.AccessControlException"
	invalidToken  = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
)

func refuse(class, format string, args ...any) error {
	return &hadooptest.Exception{Class: class, Message: fmt.Sprintf(format, args...)}
}

// PassTime makes it later for delegation tokens.
func (c *Cluster) PassTime(d time.Duration) {
	c.delegation.mu.Lock()
	defer c.delegation.mu.Unlock()
	c.delegation.passed += d
}

func (d *delegation) now() time.Time { return time.Now().Add(d.passed) }

// password is what the bearer of a token must prove to know.
func (d *delegation) password(identifier []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch t := d.tokens[string(identifier)]; {
	case t == nil:
		return nil, refuse(invalidToken, "token (unknown) can't be found in cache")
	case d.now().After(t.until):
		return nil, refuse(invalidToken, "token (%s) is expired, current time: %v expected renewal time: %v", t.text, d.now(), t.until)
	default:
		return t.password, nil
	}
}

// caller is the short name of who calls: the owner of the token, if there is one, else who the tickets are of.
func (d *delegation) caller(c *hadooptest.Call) string {
	if t := d.tokens[string(c.TokenID)]; t != nil {
		return t.owner
	}
	return shortName(c.User)
}

func shortName(principal string) string {
	name, _, _ := strings.Cut(principal, "@")
	name, _, _ = strings.Cut(name, "/")
	return name
}

func (c *Cluster) handleDelegation() {
	handle(c, "getDelegationToken", true, once(c, c.delegate))
	handle(c, "renewDelegationToken", true, c.renewDelegated)
	handle(c, "cancelDelegationToken", true, once(c, c.cancelDelegated))
}

// delegate gives a token. A NameNode without security gives none, and one with it only to who has a ticket.
// Source: FSNamesystem.getDelegationToken.
func (c *Cluster) delegate(call *hadooptest.Call, req *pb.GetDelegationTokenRequest) (*pb.GetDelegationTokenResponse, error) {
	if !c.secure {
		return &pb.GetDelegationTokenResponse{}, nil
	}
	if call.Auth != sasl.Kerberos {
		return nil, refuse("java.io.IOException", "Delegation Token can be issued only with kerberos or web authentication")
	}
	d := &c.delegation
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	now := d.now()
	t := &delegated{owner: shortName(call.User), renewer: shortName(req.GetRenewer()), password: []byte(rand.Text()),
		until: now.Add(renewLife), max: now.Add(maxLife)}
	t.text = fmt.Sprintf("token for %s: HDFS_DELEGATION_TOKEN owner=%s, renewer=%s, realUser=, issueDate=%d, maxDate=%d, sequenceNumber=%d, masterKeyId=2",
		t.owner, call.User, t.renewer, now.UnixMilli(), t.max.UnixMilli(), d.last)
	id := token.Delegation{Owner: call.User, Renewer: t.renewer, Issued: now, Max: t.max, Sequence: int64(d.last)}.Append(nil)
	if d.tokens == nil {
		d.tokens = map[string]*delegated{}
	}
	d.tokens[string(id)] = t
	return &pb.GetDelegationTokenResponse{Token: &pb.Token{Identifier: id, Password: t.password,
		Kind: proto.String("HDFS_DELEGATION_TOKEN"), Service: proto.String("")}}, nil
}

func (c *Cluster) renewDelegated(call *hadooptest.Call, req *pb.RenewDelegationTokenRequest) (*pb.RenewDelegationTokenResponse, error) {
	d := &c.delegation
	d.mu.Lock()
	defer d.mu.Unlock()
	t, who := d.tokens[string(req.GetToken().GetIdentifier())], d.caller(call)
	switch {
	case t == nil:
		return nil, refuse(invalidToken, "Renewal request for unknown token (unknown)")
	case d.now().After(t.max):
		return nil, refuse(invalidToken, "%s tried to renew an expired token (%s) max expiration date: %v currentTime: %v", who, t.text, t.max, d.now())
	case t.renewer == "":
		return nil, refuse(accessControl, "%s tried to renew a token (%s) without a renewer", who, t.text)
	case t.renewer != who:
		return nil, refuse(accessControl, "%s tries to renew a token (%s) with non-matching renewer %s", who, t.text, t.renewer)
	}
	if t.until = d.now().Add(renewLife); t.until.After(t.max) {
		t.until = t.max
	}
	return &pb.RenewDelegationTokenResponse{NewExpiryTime: proto.Uint64(uint64(t.until.UnixMilli()))}, nil
}

func (c *Cluster) cancelDelegated(call *hadooptest.Call, req *pb.CancelDelegationTokenRequest) (*pb.CancelDelegationTokenResponse, error) {
	d := &c.delegation
	d.mu.Lock()
	defer d.mu.Unlock()
	id := string(req.GetToken().GetIdentifier())
	t, who := d.tokens[id], d.caller(call)
	switch {
	case t == nil:
		return nil, refuse(invalidToken, "Token not found (unknown)")
	case who != t.owner && who != cmp.Or(t.renewer, t.owner):
		return nil, refuse(accessControl, "%s is not authorized to cancel the token (%s)", who, t.text)
	}
	delete(d.tokens, id)
	return &pb.CancelDelegationTokenResponse{}, nil
}

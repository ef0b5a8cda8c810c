package rm

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Lives of a delegation token. Source: yarn.resourcemanager.delegation.token.*.
const (
	renewLife = 24 * time.Hour
	maxLife   = 7 * 24 * time.Hour
)

// delegation holds the delegation tokens that are good. Source: AbstractDelegationTokenSecretManager.
type delegation struct {
	key    tracker.Key
	last   int32
	expiry map[int32]time.Time // by sequence number
}

func newDelegation() delegation {
	return delegation{key: tracker.NewKey(2), expiry: make(map[int32]time.Time)}
}

func refused(class, format string, args ...any) error {
	// RPCUtil.getRemoteException wraps what is no YarnException into one.
	return &hadooptest.Exception{Class: yarnException, Message: class + ": " + fmt.Sprintf(format, args...)}
}

const (
	yarnException    = "org.apache.hadoop.yarn.exceptions.YarnException"
	accessControl    = "org.apache.hadoop.security.AccessControlException"
	invalidTokenName = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
)

// delegationPassword is what the bearer of a delegation token must prove to know.
func (m *RM) delegationPassword(identifier []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.delegation.check(identifier, m.now()); err != nil {
		return nil, err
	}
	return m.delegation.key.Password(identifier), nil
}

func (d *delegation) check(identifier []byte, now time.Time) error {
	var id pb.DelegationTokenIdentifier
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return invalidToken("%v", err)
	}
	until, ok := d.expiry[id.GetSequenceNumber()]
	switch {
	case !ok:
		return invalidToken("token (%s) can't be found in cache", describe(&id))
	case now.After(until):
		return invalidToken("token (%s) is expired", describe(&id))
	}
	return nil
}

func describe(id *pb.DelegationTokenIdentifier) string {
	return fmt.Sprintf("RM_DELEGATION_TOKEN owner=%s, renewer=%s, realUser=%s, issueDate=%d, maxDate=%d, sequenceNumber=%d, masterKeyId=%d",
		id.GetOwner(), id.GetRenewer(), id.GetRealUser(), id.GetIssueDate(), id.GetMaxDate(), id.GetSequenceNumber(), id.GetMasterKeyId())
}

func (m *RM) getDelegationToken(c *hadooptest.Call, req *pb.GetDelegationTokenRequest, now time.Time) (*pb.GetDelegationTokenResponse, error) {
	d := &m.delegation
	d.last++
	id := &pb.DelegationTokenIdentifier{Owner: proto.String(user(c)), Renewer: req.Renewer, RealUser: proto.String(c.RealUser),
		IssueDate: proto.Int64(now.UnixMilli()), MaxDate: proto.Int64(now.Add(maxLife).UnixMilli()), SequenceNumber: &d.last, MasterKeyId: &d.key.ID}
	d.expiry[d.last] = now.Add(renewLife)
	return &pb.GetDelegationTokenResponse{Token: yarn.TokenToPB(sign(id, d.key, token.KindRM, ""))}, nil
}

func (m *RM) renewDelegationToken(c *hadooptest.Call, req *pb.RenewDelegationTokenRequest, now time.Time) (*pb.RenewDelegationTokenResponse, error) {
	var id pb.DelegationTokenIdentifier
	if err := proto.Unmarshal(req.GetToken().GetIdentifier(), &id); err != nil {
		return nil, refused("java.io.IOException", "%v", err)
	}
	_, known := m.delegation.expiry[id.GetSequenceNumber()]
	switch {
	case now.UnixMilli() > id.GetMaxDate():
		return nil, refused(invalidTokenName, "%s tried to renew an expired token (%s)", user(c), describe(&id))
	case id.GetRenewer() == "":
		return nil, refused(accessControl, "%s tried to renew a token (%s) without a renewer", user(c), describe(&id))
	case id.GetRenewer() != user(c):
		return nil, refused(accessControl, "%s tries to renew a token (%s) with non-matching renewer %s", user(c), describe(&id), id.GetRenewer())
	case !known:
		return nil, refused(invalidTokenName, "Renewal request for unknown token (%s)", describe(&id))
	}
	until := now.Add(renewLife)
	if limit := time.UnixMilli(id.GetMaxDate()); until.After(limit) {
		until = limit
	}
	m.delegation.expiry[id.GetSequenceNumber()] = until
	return &pb.RenewDelegationTokenResponse{NewExpiryTime: proto.Uint64(uint64(until.UnixMilli()))}, nil
}

func (m *RM) cancelDelegationToken(c *hadooptest.Call, req *pb.CancelDelegationTokenRequest, _ time.Time) (*pb.CancelDelegationTokenResponse, error) {
	var id pb.DelegationTokenIdentifier
	if err := proto.Unmarshal(req.GetToken().GetIdentifier(), &id); err != nil {
		return nil, refused("java.io.IOException", "%v", err)
	}
	if u := user(c); u != id.GetOwner() && (id.GetRenewer() == "" || u != id.GetRenewer()) {
		return nil, refused(accessControl, "%s is not authorized to cancel the token (%s)", u, describe(&id))
	}
	if _, known := m.delegation.expiry[id.GetSequenceNumber()]; !known {
		return nil, refused(invalidTokenName, "Token not found (%s)", describe(&id))
	}
	delete(m.delegation.expiry, id.GetSequenceNumber())
	return &pb.CancelDelegationTokenResponse{}, nil
}

// user is who calls: the owner of the token, if there is one, else who the caller says.
func user(c *hadooptest.Call) string {
	if c.TokenID != nil {
		var id pb.DelegationTokenIdentifier
		if proto.Unmarshal(c.TokenID, &id) == nil && id.GetOwner() != "" {
			return id.GetOwner()
		}
	}
	return c.User
}

package rm

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// amrmKeys sign the tokens of application masters. While there is a next key, new tokens use it and old ones are good
// still; who comes with an old one is sent a new one with every response. Source: AMRMTokenSecretManager.
type amrmKeys struct {
	current tracker.Key
	next    *tracker.Key
}

func (k *amrmKeys) newest() tracker.Key {
	if k.next != nil {
		return *k.next
	}
	return k.current
}

func (k *amrmKeys) find(id int32) (tracker.Key, bool) {
	switch {
	case k.current.ID == id:
		return k.current, true
	case k.next != nil && k.next.ID == id:
		return *k.next, true
	}
	return tracker.Key{}, false
}

// newKeys makes all keys anew.
func (m *RM) newKeys() {
	m.amrm = amrmKeys{current: tracker.NewKey(int32(time.Now().Unix() & 0xffffff))}
	m.keys = tracker.Keys{}
	m.keys.Container.Roll()
	m.keys.NM.Roll()
	m.delegation = newDelegation()
	m.clients = make(map[yarn.AttemptID]tracker.Key)
}

func invalidToken(format string, args ...any) error {
	return &hadooptest.Exception{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: fmt.Sprintf(format, args...)}
}

// sign makes a token whose password is the identifier's under a key.
func sign(id proto.Message, k tracker.Key, kind, service string) token.Token {
	b, err := proto.Marshal(id)
	if err != nil {
		panic(err) // no required field is left out
	}
	return token.Token{Identifier: b, Password: k.Password(b), Kind: kind, Service: service}
}

// amrmToken is for an attempt's application master. Its service is empty, as seen on 3.4.2.
func (m *RM) amrmToken(id yarn.AttemptID) token.Token {
	k := m.amrm.newest()
	return sign(&pb.AMRMTokenIdentifier{AppAttemptId: id.PB(), KeyId: &k.ID}, k, token.KindAMRM, "")
}

// amrmPassword is what an application master that connects must prove to know.
func (m *RM) amrmPassword(identifier []byte) ([]byte, error) {
	var id pb.AMRMTokenIdentifier
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, invalidToken("%v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := yarn.AttemptIDFromPB(id.GetAppAttemptId())
	if v, err := m.core.Attempt(at); err != nil || !v.Due {
		return nil, invalidToken("%s not found in AMRMTokenSecretManager.", at)
	}
	k, ok := m.amrm.find(id.GetKeyId())
	if !ok {
		return nil, invalidToken("Invalid AMRMToken from %s", at)
	}
	return k.Password(identifier), nil
}

// caller is the attempt whose application master calls, and its token's key.
func caller(c *hadooptest.Call) (yarn.AttemptID, int32, error) {
	var id pb.AMRMTokenIdentifier
	if err := proto.Unmarshal(c.TokenID, &id); err != nil {
		return yarn.AttemptID{}, 0, err
	}
	return yarn.AttemptIDFromPB(id.GetAppAttemptId()), id.GetKeyId(), nil
}

// nmToken lets an attempt talk to a node.
func (m *RM) nmToken(id yarn.AttemptID, node yarn.NodeID, user string) token.Token {
	k := m.keys.NM.Current
	return sign(&pb.NMTokenIdentifier{AppAttemptId: id.PB(), NodeId: node.PB(), AppSubmitter: &user, KeyId: &k.ID}, k, token.KindNM, node.String())
}

// containerToken lets a container be started on its node.
func (m *RM) containerToken(c core.Container, user string, logs *pb.LogAggregationContext) token.Token {
	k := m.keys.Container.Current
	kind := pb.ContainerType_TASK
	if c.AM {
		kind = pb.ContainerType_APPLICATION_MASTER
	}
	id := &pb.ContainerTokenIdentifier{
		ContainerId: c.ID.PB(), NmHostAddr: proto.String(c.Node.String()), AppSubmitter: &user, Resource: resource(c.Resource),
		ExpiryTimeStamp: proto.Int64(c.Acquired.Add(m.opts.TokenLife).UnixMilli()), MasterKeyId: &k.ID, RmIdentifier: proto.Int64(m.core.Timestamp()),
		Priority: priority(c.Priority), CreationTime: proto.Int64(c.Created.UnixMilli()), LogAggregationContext: logs,
		NodeLabelExpression: proto.String(c.Label), ContainerType: &kind, ExecutionType: c.Execution.Enum(), Version: &c.Version,
		AllocationRequestId: &c.RequestID,
	}
	return sign(id, k, token.KindContainer, c.Node.String())
}

func resource(r core.Resource) *pb.Resource {
	return yarn.NewResource(r.MemoryMiB, r.VCores, r.Others)
}

func priority(p int32) *pb.Priority { return &pb.Priority{Priority: &p} }

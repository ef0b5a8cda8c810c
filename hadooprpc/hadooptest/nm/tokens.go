package nm

import (
	"crypto/subtle"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

const (
	yarnException      = "org.apache.hadoop.yarn.exceptions.YarnException"
	notReadyException  = "org.apache.hadoop.yarn.exceptions.NMNotYetReadyException"
	containerException = "org.apache.hadoop.yarn.exceptions.InvalidContainerException"
	serviceException   = "org.apache.hadoop.yarn.exceptions.InvalidAuxServiceException"
	invalidToken       = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
)

func exception(class, format string, args ...any) *hadooptest.Exception {
	return &hadooptest.Exception{Class: class, Message: fmt.Sprintf(format, args...)}
}

func refuse(format string, args ...any) *hadooptest.Exception {
	return exception(yarnException, format, args...)
}

// password is that of an NMToken, with which an application master connects. An attempt that has started a container
// here may go on with the key it did so with, however often keys roll. Source: NMTokenSecretManagerInNM (3.4.2).
func (n *Node) password(identifier []byte) ([]byte, error) {
	var id pb.NMTokenIdentifier
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, exception(invalidToken, "the NMToken cannot be read")
	}
	attempt := yarn.AttemptIDFromPB(id.GetAppAttemptId())
	n.mu.Lock()
	defer n.mu.Unlock()
	key, ok := n.attemptKeys[attempt]
	if !ok || key.ID != id.GetKeyId() {
		key, ok = n.keys.NM.Find(id.GetKeyId())
	}
	if !ok {
		return nil, exception(invalidToken, "Given NMToken for application : %s seems to have been generated illegally.", attempt)
	}
	if at := yarn.NodeIDFromPB(id.GetNodeId()); at != n.id {
		return nil, exception(invalidToken, "Given NMToken for application : %s is not valid for current node manager.expected : %s found : %s", attempt, n.id, at)
	}
	return key.Password(identifier), nil
}

// caller reads who calls out of the connection's token.
func caller(c *hadooptest.Call) (*pb.NMTokenIdentifier, error) {
	id := &pb.NMTokenIdentifier{}
	if err := proto.Unmarshal(c.TokenID, id); err != nil || id.AppAttemptId == nil {
		return nil, refuse("Invalid NMToken")
	}
	return id, nil
}

// containerToken checks that a token is what the ResourceManager signed, for this node. Source:
// NMContainerTokenSecretManager.retrievePassword, ContainerManagerImpl.verifyAndGetContainerTokenIdentifier.
func (n *Node) containerToken(password, identifier []byte) (*pb.ContainerTokenIdentifier, error) {
	id := &pb.ContainerTokenIdentifier{}
	if err := proto.Unmarshal(identifier, id); err != nil || len(identifier) == 0 {
		return nil, refuse("Invalid ContainerToken")
	}
	cid := yarn.ContainerIDFromPB(id.GetContainerId())
	if id.GetNmHostAddr() != n.id.String() {
		return nil, exception(invalidToken, "Given Container %s identifier is not valid for current Node manager. Expected : %s Found : %s", cid, n.id, id.GetNmHostAddr())
	}
	key, ok := n.keys.Container.Find(id.GetMasterKeyId())
	if !ok {
		return nil, exception(invalidToken, "Given Container %s seems to have an illegally generated token.", cid)
	}
	if subtle.ConstantTimeCompare(key.Password(identifier), password) != 1 {
		return nil, exception(invalidToken, "Invalid container token used for starting container on : %s", n.id)
	}
	return id, nil
}

// authorize checks that the caller may start, or change, the container, under mu. Source:
// ContainerManagerImpl.authorizeStartAndResourceIncreaseRequest.
func (n *Node) authorize(who *pb.NMTokenIdentifier, id *pb.ContainerTokenIdentifier, start bool) error {
	what, doing := "start container.", "starting "
	if !start {
		what, doing = "increase container resource.", "increasing resource of "
	}
	cid, by := yarn.ContainerIDFromPB(id.GetContainerId()), yarn.AttemptIDFromPB(who.GetAppAttemptId())
	now := time.Now().UnixMilli()
	switch {
	case by.App != cid.Attempt.App:
		return refuse("Unauthorized request to %s\nNMToken for application attempt : %s was used for %scontainer with container token issued for application attempt : %s",
			what, by, doing, cid.Attempt)
	case start && n.started[cid]:
		return refuse("Unauthorized request to %s\n Attempt to relaunch the same container with id %s.", what, cid)
	case id.GetExpiryTimeStamp() < now:
		return refuse("Unauthorized request to %s\nThis token is expired. current time is %d found %d\n"+
			"Note: System times on machines may be out of sync. Check system time and time zones.", what, now, id.GetExpiryTimeStamp())
	case id.GetRmIdentifier() != n.rmIdentifier:
		return exception(containerException, "\nContainer %s rejected as it is allocated by a previous RM", cid)
	}
	return nil
}

// mayUse checks that the caller's application is the container's. Source:
// ContainerManagerImpl.authorizeGetAndStopContainerRequest.
func mayUse(who *pb.NMTokenIdentifier, id yarn.ContainerID, stop bool) error {
	by := yarn.AttemptIDFromPB(who.GetAppAttemptId())
	if by.App == id.Attempt.App {
		return nil
	}
	if stop {
		return refuse("%s attempted to stop non-application container : %s", by, id)
	}
	return refuse("%s attempted to get status for non-application container : %s", by, id)
}

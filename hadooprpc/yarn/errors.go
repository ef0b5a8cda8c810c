package yarn

import (
	"errors"
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// IsNotFound tells that the ResourceManager does not know the application, attempt or container, or has forgotten it.
func IsNotFound(err error) bool {
	return ipc.Is(err, "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException") ||
		ipc.Is(err, "org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException") ||
		ipc.Is(err, "org.apache.hadoop.yarn.exceptions.ContainerNotFoundException")
}

// IsNotRegistered tells an application master that the ResourceManager restarted or failed over: register again,
// then send all asks, releases and blacklisted nodes again.
func IsNotRegistered(err error) bool {
	return ipc.Is(err, "org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException")
}

// IsAttemptNotFound tells an application master that its attempt is over: exit. Whoever has to connect anew hears it when
// it shows its token.
// Source: AMRMTokenSecretManager.retrievePassword.
func IsAttemptNotFound(err error) bool {
	var remote *ipc.RemoteError
	return ipc.Is(err, "org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException") ||
		IsInvalidToken(err) && errors.As(err, &remote) && strings.HasSuffix(remote.Message, " not found in AMRMTokenSecretManager.")
}

// IsRegistered tells an application master that it has registered already: that the answer to an earlier Register got
// lost, for the ResourceManager gives it once. Source: org.apache.hadoop.yarn.util.AMRMClientUtils,
// APP_ALREADY_REGISTERED_MESSAGE.
func IsRegistered(err error) bool {
	var remote *ipc.RemoteError
	return IsInvalidRequest(err) && errors.As(err, &remote) && strings.HasPrefix(remote.Message, "Application Master is already registered")
}

// IsInvalidRequest tells that an application master broke the protocol, for example by an outdated heartbeat of a
// second process of the same attempt.
func IsInvalidRequest(err error) bool {
	return ipc.Is(err, "org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException")
}

// IsInvalidContainer tells that a NodeManager does not take a container that the ResourceManager gave before it
// restarted or failed over, and forgot: one that was not started by then.
// Source: ContainerManagerImpl.startContainerInternal.
func IsInvalidContainer(err error) bool {
	const class = "org.apache.hadoop.yarn.exceptions.InvalidContainerException"
	var refused *ContainerError
	return ipc.Is(err, class) || errors.As(err, &refused) && refused.Class == class
}

// IsInvalidResource tells that an ask passes the cluster's limits, or names a resource type or a node label that is
// unknown or not the queue's to use.
func IsInvalidResource(err error) bool {
	return ipc.Is(err, "org.apache.hadoop.yarn.exceptions.InvalidResourceRequestException") ||
		ipc.Is(err, "org.apache.hadoop.yarn.exceptions.InvalidLabelResourceRequestException") ||
		ipc.Is(err, "org.apache.hadoop.yarn.exceptions.ResourceNotFoundException")
}

// denials are the classes by which the ResourceManager says that the caller lacks a right.
var denials = []string{"org.apache.hadoop.security.AccessControlException", "org.apache.hadoop.security.authorize.AuthorizationException",
	"java.security.AccessControlException"}

// IsDenied tells that the caller lacks the right. The ResourceManager often says so in an exception of its own, whose
// message begins with the class that says it.
// Source: org.apache.hadoop.yarn.ipc.RPCUtil.getRemoteException, as in ClientRMService.forceKillApplication, which has the
// class of package java.security (seen on 3.4.2).
func IsDenied(err error) bool {
	remote := (*ipc.RemoteError)(nil)
	wrapped := ipc.Is(err, "org.apache.hadoop.yarn.exceptions.YarnException") && errors.As(err, &remote)
	for _, class := range denials {
		if ipc.Is(err, class) || wrapped && strings.HasPrefix(remote.Message, class+":") {
			return true
		}
	}
	return false
}

// IsInvalidToken tells that a token has expired, was cancelled, or was never valid there.
func IsInvalidToken(err error) bool {
	return ipc.Is(err, "org.apache.hadoop.security.token.SecretManager$InvalidToken")
}

// RejectedError tells that an application ended before any attempt of it began: the ResourceManager did not want it.
type RejectedError struct {
	ID          ApplicationID
	State       pb.ApplicationState
	Diagnostics string
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("%s was refused by the ResourceManager (%s): %s", e.ID, e.State, e.Diagnostics)
}

// ContainerError tells why a NodeManager failed one container of a call that as a whole succeeded.
type ContainerError struct {
	ID ContainerID
	// Class and Message are the Java exception's, Trace its stack.
	Class, Message, Trace string
}

func (e *ContainerError) Error() string { return fmt.Sprintf("%s: %s: %s", e.ID, e.Class, e.Message) }

func containerErrors(list []*pb.ContainerExceptionMap) map[ContainerID]error {
	out := make(map[ContainerID]error, len(list))
	for _, f := range list {
		id, x := ContainerIDFromPB(f.GetContainerId()), f.GetException()
		out[id] = &ContainerError{ID: id, Class: x.GetClassName(), Message: x.GetMessage(), Trace: x.GetTrace()}
	}
	return out
}

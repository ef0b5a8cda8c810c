package claim

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Identifier is what a ClientToAM token says.
// Source: ClientToAMTokenIdentifierProto of yarn_security_token.proto.
type Identifier struct {
	App     string // application id
	Attempt int
	// Client is whom it is for, as the ResourceManager knows him: a full principal,
	// "bob@EXAMPLE.COM" (UserGroupInformation.getUserName), or of one for whom a proxy acts the
	// name that the proxy gave.
	Client string
}

// ParseIdentifier reads a token's identifier.
func ParseIdentifier(data []byte) (Identifier, error) {
	var m pb.ClientToAMTokenIdentifier
	if err := proto.Unmarshal(data, &m); err != nil {
		return Identifier{}, fmt.Errorf("claim: bad token identifier: %w", err)
	}
	if m.GetAppAttemptId().GetApplicationId() == nil || m.GetClientName() == "" {
		return Identifier{}, errors.New("claim: a token identifier without an attempt or a client")
	}
	id := yarn.AttemptIDFromPB(m.GetAppAttemptId())
	return Identifier{App: id.App.String(), Attempt: int(id.Attempt), Client: m.GetClientName()}, nil
}

package hdfs

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Delegation is an FS with Kerberos, which gives tokens by which others come in our name, for some time, without a
// ticket. Only who has a ticket gets one. What [Open] returns for HDFS implements it.
//
// Source: ClientNamenodeProtocol.proto, DFSClient.
type Delegation interface {
	// DelegationToken is a new token. The renewer, a principal or short name, can make it last longer; "" is nobody. ok is
	// false where there is nothing to delegate: on a cluster without Kerberos.
	DelegationToken(ctx context.Context, renewer string) (t token.Token, ok bool, err error)
	// RenewToken makes a token last longer, for its renewer, and tells until when.
	RenewToken(ctx context.Context, t token.Token) (time.Time, error)
	// CancelToken ends a token, for its owner or renewer.
	CancelToken(ctx context.Context, t token.Token) error
	// KeyProvider is the URI of where the keys of its encryption zones are, such as a KMS, which has tokens of its own; ""
	// where there is none.
	KeyProvider(ctx context.Context) (uri string, err error)
}

var _ Delegation = (*remote)(nil)

// TokenFor is the one of some tokens that the NameNodes of f, from [Open], are shown; false where there is none, and where f
// wants none.
func TokenFor(f FS, tokens *token.Credentials) (token.Token, bool) {
	r, ok := f.(*remote)
	if !ok {
		return token.Token{}, false
	}
	return login.With("", nil, tokens).Token(r.service)
}

// DelegationToken implements Delegation.
func (r *remote) DelegationToken(ctx context.Context, renewer string) (token.Token, bool, error) {
	var resp pb.GetDelegationTokenResponse
	if err := r.rpc(ctx, "get a delegation token of", "", "getDelegationToken", &pb.GetDelegationTokenRequest{Renewer: proto.String(renewer)}, &resp); err != nil {
		return token.Token{}, false, err
	}
	if resp.GetToken() == nil {
		return token.Token{}, false, nil
	}
	t := token.FromProto(resp.GetToken())
	if t.Kind == "" {
		t.Kind = token.KindHDFS
	}
	if len(r.service.Names) > 0 {
		t.Service = r.service.Names[0] // NameNodes leave it to the client
	}
	return t, true, nil
}

// RenewToken implements Delegation.
func (r *remote) RenewToken(ctx context.Context, t token.Token) (time.Time, error) {
	var resp pb.RenewDelegationTokenResponse
	if err := r.rpc(ctx, "renew the delegation token of", "", "renewDelegationToken", &pb.RenewDelegationTokenRequest{Token: t.Proto()}, &resp); err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(resp.GetNewExpiryTime())), nil
}

// CancelToken implements Delegation.
func (r *remote) CancelToken(ctx context.Context, t token.Token) error {
	return r.rpc(ctx, "cancel the delegation token of", "", "cancelDelegationToken", &pb.CancelDelegationTokenRequest{Token: t.Proto()}, &pb.CancelDelegationTokenResponse{})
}

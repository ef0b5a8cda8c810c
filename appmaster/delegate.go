package appmaster

import (
	"bytes"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/identity"
)

// Delegate takes tokens that the owner brings.
func (s session) Delegate(ctx context.Context, req *ampb.DelegateRequest) (*ampb.DelegateReply, error) {
	if s.opt.Delegation == nil {
		return nil, status.Error(codes.FailedPrecondition, "this application needs no tokens: its cluster has no Kerberos")
	}
	c, err := token.Parse(req.Tokens)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "these are no tokens: %v", err)
	}
	until := req.Until.AsTime()
	if req.Until == nil || !until.After(time.Now()) {
		return nil, status.Error(codes.InvalidArgument, "tokens that end at once are of no use: compare this host's clock with the cluster's")
	}
	taken, err := s.opt.Delegation.Push(ctx, delegation.Grant{Tokens: c.Delegated(), Until: until}, req.Must)
	if errors.Is(err, delegation.ErrNothing) {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	} else if err != nil { // they are in use
		s.log.Warn("new tokens are not saved for the next attempt of the application master", "err", err)
	}
	return &ampb.DelegateReply{Until: timestamppb.New(s.opt.Delegation.Now().Until), Kept: !taken}, nil
}

// Tokens implements ampb.SessionServer.
func (s session) Tokens(ctx context.Context, req *ampb.TokensRequest) (*ampb.TokensReply, error) {
	return s.tokens(ctx, req), nil
}

// Tokens implements ampb.MembersServer.
func (s members) Tokens(ctx context.Context, req *ampb.TokensRequest) (*ampb.TokensReply, error) {
	if err := s.belongs(ctx); err != nil {
		return nil, err
	}
	return s.tokens(ctx, req), nil
}

func (l *loop) tokens(ctx context.Context, req *ampb.TokensRequest) *ampb.TokensReply {
	if l.opt.Delegation == nil {
		return &ampb.TokensReply{}
	}
	g := l.opt.Delegation.Now()
	mine := g.Tokens
	if caller(ctx).Role != identity.Client {
		mine = mine.Without(token.KindRM)
	}
	reply := &ampb.TokensReply{AskAgain: durationpb.New(g.CheckIn(time.Now()))}
	if l.opt.Delegation.Stale() { // the caller may have newer ones, of an earlier attempt
		reply.AskAgain = durationpb.New(delegation.Soon)
	} else if !bytes.Equal(delegation.Digest(mine), req.Digest) {
		reply.Tokens = mine.Append(nil, token.V0)
	}
	return reply
}

// delegated tells until when the application can act for its owner.
func (l *loop) delegated() *ampb.Delegation {
	if l.opt.Delegation == nil {
		return nil
	}
	d := &ampb.Delegation{Renews: l.opt.Delegation.Renews(), FileSystems: l.opt.Spec.FileSystems, ResourceManager: l.opt.Spec.AsksTheCluster()}
	if now := l.opt.Delegation.Now(); !now.Until.IsZero() {
		d.Until, d.AtMost = timestamppb.New(now.Until), now.AtMost
	}
	if since := l.opt.Delegation.Since(); !since.IsZero() {
		d.Since = timestamppb.New(since)
	}
	if err := l.opt.Delegation.Trouble(); err != nil {
		d.Trouble = err.Error()
	}
	return d
}

package hdfs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
)

func remoteOf(t *testing.T, s *hadooptest.Server) *remote {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	p := ipc.NewProxy([]string{s.Addr()}, clientProtocol, ipc.Options{User: "alice", CallTimeout: 5 * time.Second})
	r := &remote{user: "alice", proxy: p, timeout: 5 * time.Second, log: log, pool: &pool{},
		names: names{scheme: "hdfs", authority: s.Addr(), home: "/user/alice"}}
	t.Cleanup(func() { p.Close() })
	return r
}

// nameNode answers for a tree in which /zone is encrypted and /coded erasure-coded but
// for /coded/plain.
func nameNode(t *testing.T) *hadooptest.Server {
	t.Helper()
	s, err := hadooptest.NewServer(hadooptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	policies := map[string]*nnpb.ErasureCodingPolicy{
		"/": nil, "/zone": nil,
		"/coded":       {Id: proto.Uint32(1)}, // a built-in one comes without its name
		"/coded/own":   {Name: proto.String("mine"), Id: proto.Uint32(65)},
		"/coded/new":   {Id: proto.Uint32(6)},
		"/coded/plain": {Name: proto.String("replication"), Id: proto.Uint32(replicationPolicy)},
	}
	hadooptest.Handle(s, clientProtocol, "getErasureCodingPolicy", func(_ context.Context, _ *hadooptest.Call, req *nnpb.GetErasureCodingPolicyRequest) (*nnpb.GetErasureCodingPolicyResponse, error) {
		policy, there := policies[req.GetSrc()]
		if !there {
			return nil, &hadooptest.Exception{Class: "java.io.FileNotFoundException", Message: "Path not found: " + req.GetSrc()}
		}
		return &nnpb.GetErasureCodingPolicyResponse{Policy: policy}, nil
	})
	hadooptest.Handle(s, clientProtocol, "getEZForPath", func(_ context.Context, _ *hadooptest.Call, req *nnpb.GetEZForPathRequest) (*nnpb.GetEZForPathResponse, error) {
		if req.GetSrc() != "/zone" {
			return &nnpb.GetEZForPathResponse{}, nil
		}
		return &nnpb.GetEZForPathResponse{Zone: &nnpb.EncryptionZone{Path: proto.String("/zone"), KeyName: proto.String("k")}}, nil
	})
	return s
}

func TestStorageOf(t *testing.T) {
	r := remoteOf(t, nameNode(t))
	for name, want := range map[string]Storage{
		"/":                    {},
		"/user/alice/x":        {},
		"/coded":               {ErasureCoding: "RS-6-3-1024k"},
		"/coded/alice/.yarnd":  {ErasureCoding: "RS-6-3-1024k"},
		"/coded/own/x":         {ErasureCoding: "mine"},
		"/coded/new/x":         {ErasureCoding: "policy 6"},
		"/coded/plain/alice/x": {},
		"/zone/alice":          {EncryptionZone: "/zone", Key: "k"},
	} {
		got, err := StorageOf(t.Context(), r, name)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	if got, err := StorageOf(t.Context(), NewLocal(LocalOptions{Home: t.TempDir()}), "x"); err != nil || got != (Storage{}) {
		t.Errorf("a local file system: %+v, %v", got, err)
	}
}

// A NameNode that knows neither has nothing special.
func TestStorageOfOldNameNode(t *testing.T) {
	s, err := hadooptest.NewServer(hadooptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.HandleFunc(clientProtocol, "getFileInfo", func(context.Context, *hadooptest.Call) (proto.Message, error) { return nil, nil })
	if got, err := StorageOf(t.Context(), remoteOf(t, s), "/x"); err != nil || got != (Storage{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

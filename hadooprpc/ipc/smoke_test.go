package ipc_test

import (
	"context"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

func TestSmoke(t *testing.T) {
	for _, q := range [][]sasl.QOP{nil, {sasl.QOPConf}} {
		s, err := hadooptest.NewServer(hadooptest.Options{TokenOnly: true, QOPs: q, Passwords: func(id []byte) ([]byte, error) { return append([]byte("pw"), id...), nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		hadooptest.Handle(s, "P", "renew", func(ctx context.Context, c *hadooptest.Call, r *pb.GetDelegationTokenRequest) (*pb.GetApplicationsResponse, error) {
			return &pb.GetApplicationsResponse{Applications: []*pb.ApplicationReport{{Name: r.Renewer}}}, nil
		})
		c := ipc.NewClient(s.Addr(), "P", ipc.Options{Token: &token.Token{Identifier: []byte("x"), Password: []byte("pwx")}})
		defer c.Close()
		big := string(make([]byte, 300000))
		var resp pb.GetApplicationsResponse
		if err := c.Call(t.Context(), ipc.Method{Name: "renew"}, &pb.GetDelegationTokenRequest{Renewer: &big}, &resp); err != nil {
			t.Fatal(err)
		}
		if resp.Applications[0].GetName() != big {
			t.Fatal("differs")
		}
	}
}

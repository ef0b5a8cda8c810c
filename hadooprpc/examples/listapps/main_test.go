package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func TestListApps(t *testing.T) {
	s, err := hadooptest.NewServer(hadooptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hadooptest.Handle(s, yarn.ClientProtocol, "getApplications", func(_ context.Context, c *hadooptest.Call, r *pb.GetApplicationsRequest) (*pb.GetApplicationsResponse, error) {
		if len(r.GetUsers()) != 1 || r.GetUsers()[0] != "alice" || len(r.GetApplicationStates()) != 3 {
			t.Errorf("filter %v", r)
		}
		return &pb.GetApplicationsResponse{Applications: []*pb.ApplicationReport{{
			ApplicationId: yarn.ApplicationID{ClusterTimestamp: 1700000000000, ID: 7}.PB(), Name: proto.String("evil\x1b[2Jname"), User: proto.String("alice"),
			Queue: proto.String("default"), ApplicationType: proto.String("YARND"), Progress: proto.Float32(0.5),
			YarnApplicationState: pb.ApplicationState_RUNNING.Enum(), FinalApplicationStatus: pb.FinalApplicationStatus_APP_UNDEFINED.Enum(),
		}}}, nil
	})
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-rm", s.Addr(), "-user", "alice"}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || strings.Join(strings.Fields(lines[1]), " ") != "application_1700000000000_0007 evil?[2Jname YARND alice default RUNNING UNDEFINED 50%" {
		t.Errorf("printed\n%s", &out)
	}
}

func TestWithoutConfiguration(t *testing.T) {
	t.Setenv("HADOOP_CONF_DIR", t.TempDir())
	if err := run(t.Context(), nil, new(bytes.Buffer)); err == nil {
		t.Error("an empty HADOOP_CONF_DIR went unnoticed")
	}
}

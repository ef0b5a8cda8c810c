package pb_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// A file or message that carried Hadoop's own name would make a program panic at start when it links another
// Hadoop client, so nothing of ours may.
func TestNamesAreOurOwn(t *testing.T) {
	n := 0
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(fd.Package()), "google.") {
			return true
		}
		n++
		if !strings.HasPrefix(fd.Path(), "yarnd/hadoop/") || !strings.HasPrefix(string(fd.Package()), "yarnd.hadoop.") {
			t.Errorf("%s registers package %s", fd.Path(), fd.Package())
		}
		return true
	})
	if n != 10 {
		t.Errorf("%d files registered, want 10", n)
	}
}

// The bytes are written out by hand from Hadoop's field numbers and wire types, so that a slip in a number or a
// type in the .proto files shows here.
func TestWireFacts(t *testing.T) {
	for _, tc := range []struct {
		name string
		m    proto.Message
		hex  string
	}{
		{"request header: callId and retryCount are zig-zag", &pb.RpcRequestHeader{
			RpcKind: pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(), RpcOp: pb.RpcRequestHeader_RPC_FINAL_PACKET.Enum(),
			CallId: proto.Int32(-33), ClientId: []byte{}, RetryCount: proto.Int32(-1),
		}, "0802" + "1000" + "1841" + "2200" + "2801"},
		{"response header: callId is plain", &pb.RpcResponseHeader{
			CallId: proto.Uint32(0xffffffdf), Status: pb.RpcResponseHeader_SUCCESS.Enum(),
		}, "08dfffffff0f" + "1000"},
		{"connection context starts at field 2", &pb.IpcConnectionContext{
			UserInfo: &pb.UserInformation{EffectiveUser: proto.String("a")}, Protocol: proto.String("p"),
		}, "1203" + "0a0161" + "1a0170"},
		{"negative exit status is a ten-byte varint", &pb.ContainerStatus{ExitStatus: proto.Int32(-104)},
			"2098ffffffffffffffff01"},
		{"container id", &pb.ContainerId{Id: proto.Int64(1<<40 | 1)}, "188180808080" + "20"},
		{"am_rm_token of a report is field 19", &pb.ApplicationReport{AmRmToken: &pb.Token{
			Identifier: []byte{1}, Password: []byte{2}, Kind: proto.String(""), Service: proto.String("")}},
			"9a010a" + "0a0101" + "120102" + "1a00" + "2200"},
		{"allocate: response id 4, update requests 7", &pb.AllocateRequest{ResponseId: proto.Int32(5),
			SchedulingRequests: []*pb.SchedulingRequest{{}}}, "2005" + "5200"},
	} {
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(tc.m)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if hex.EncodeToString(got) != tc.hex {
			t.Errorf("%s:\n got %x\nwant %s", tc.name, got, tc.hex)
		}
	}
}

// Absent fields mean something: an exit status that is not there is "still running", not success.
func TestDefaults(t *testing.T) {
	var s pb.ContainerStatus
	if s.GetExitStatus() != -1000 || s.GetDiagnostics() != "N/A" {
		t.Errorf("empty status: %d %q", s.GetExitStatus(), s.GetDiagnostics())
	}
	var r pb.ResourceRequest
	if r.GetAllocationRequestId() != -1 || !r.GetRelaxLocality() {
		t.Errorf("empty request: %d %v", r.GetAllocationRequestId(), r.GetRelaxLocality())
	}
	var c pb.ApplicationSubmissionContext
	if !c.GetCancelTokensWhenComplete() || c.GetAttemptFailuresValidityInterval() != -1 || c.GetQueue() != "default" {
		t.Error("submission context defaults")
	}
}

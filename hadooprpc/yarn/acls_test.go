package yarn

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

func TestACLs(t *testing.T) {
	for _, a := range []ACLs{{}, {View: "bob"}, {Modify: "*"}, {View: "bob staff", Modify: "svc"}} {
		list := a.PB()
		if got := ACLsFromPB(list); got != a {
			t.Errorf("%+v came back as %+v", a, got)
		}
		for _, m := range list {
			if m.AccessType == nil || m.GetAcl() == "" {
				t.Errorf("%+v has %v", a, m)
			}
		}
	}
	nobody := []*pb.ApplicationACLMap{{AccessType: pb.ApplicationAccessType_APPACCESS_VIEW_APP.Enum()},
		{AccessType: pb.ApplicationAccessType_APPACCESS_MODIFY_APP.Enum(), Acl: proto.String("svc")}}
	if got := ACLsFromPB(nobody); got != (ACLs{View: " ", Modify: "svc"}) { // the proto's default
		t.Errorf("%+v", got)
	}
}

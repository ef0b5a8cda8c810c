package yarn

import (
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// ACLs are who may look at an application and who may change it, beside its owner and administrators: "user1,user2
// group1,group2", "*" for everybody, "" for nobody. Source: ApplicationAccessType.
type ACLs struct{ View, Modify string }

// PB is the form of a ContainerLaunchContext; who is nobody is left out.
func (a ACLs) PB() []*pb.ApplicationACLMap {
	var out []*pb.ApplicationACLMap
	add := func(kind pb.ApplicationAccessType, list string) {
		if list != "" {
			out = append(out, &pb.ApplicationACLMap{AccessType: kind.Enum(), Acl: proto.String(list)})
		}
	}
	add(pb.ApplicationAccessType_APPACCESS_VIEW_APP, a.View)
	add(pb.ApplicationAccessType_APPACCESS_MODIFY_APP, a.Modify)
	return out
}

// ACLsFromPB reads such a form; of one kind twice the last counts.
func ACLsFromPB(list []*pb.ApplicationACLMap) (a ACLs) {
	for _, m := range list {
		switch m.GetAccessType() {
		case pb.ApplicationAccessType_APPACCESS_VIEW_APP:
			a.View = m.GetAcl()
		case pb.ApplicationAccessType_APPACCESS_MODIFY_APP:
			a.Modify = m.GetAcl()
		}
	}
	return a
}

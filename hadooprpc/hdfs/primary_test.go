package hdfs

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

func TestPrimaryLives(t *testing.T) {
	for _, tt := range []struct {
		name  string
		heard []uint64 // of each DataNode, when
		lives []bool
		want  bool
	}{
		{"no block", nil, nil, true},
		{"all live", []uint64{5, 7}, []bool{true, true}, true},
		{"the dead one was heard of last", []uint64{7, 5, 6}, []bool{false, true, true}, false},
		{"at the same time", []uint64{7, 7}, []bool{false, true}, false},
		{"a live one was heard of since", []uint64{7, 5, 8}, []bool{false, true, true}, true},
		{"nobody lives: nothing to wait for", []uint64{7, 5}, []bool{false, false}, true},
		{"a NameNode that does not say", []uint64{0, 0}, []bool{false, true}, true},
	} {
		var nodes []*nnpb.DatanodeInfo
		for _, at := range tt.heard {
			nodes = append(nodes, &nnpb.DatanodeInfo{LastUpdate: proto.Uint64(at)})
		}
		if got := primaryLives(nodes, tt.lives); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

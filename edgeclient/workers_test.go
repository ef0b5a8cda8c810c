package edgeclient

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

func TestFindWorkers(t *testing.T) {
	info := &ampb.Info{}
	for _, c := range []struct{ id, role string }{{"c_01", "scheduler"}, {"c_02", "worker"}, {"c_12", "worker"}, {"c_03", "worker"}, {"x_c_03", "worker"}} {
		info.Containers = append(info.Containers, &ampb.Container{Id: c.id, Role: c.role})
	}
	for _, c := range []struct {
		names, want []string
		code        Code
	}{
		{[]string{"_02", "12", "c_02"}, []string{"c_02", "c_12"}, 0},
		{[]string{"c_03"}, []string{"c_03"}, 0}, // whole ids come first
		{[]string{"2"}, nil, Usage},
		{[]string{"c_01"}, nil, NotFound}, // the scheduler is no worker
		{[]string{""}, nil, NotFound},
		{[]string{"9"}, nil, NotFound},
	} {
		got, err := FindWorkers("app", info, c.names)
		if !cmp.Equal(got, c.want) || err != nil && CodeOf(err) != c.code || err == nil && c.code != 0 {
			t.Errorf("%q: %q, %v", c.names, got, err)
		}
	}
}

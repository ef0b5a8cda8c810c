package edgeclient

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// zone is a DNS: names' addresses, and addresses' names.
type zone map[string][]string

func (z zone) LookupHost(_ context.Context, name string) ([]string, error) { return z.get(name) }
func (z zone) LookupAddr(_ context.Context, name string) ([]string, error) { return z.get(name) }
func (z zone) get(name string) ([]string, error) {
	if found := z[name]; len(found) > 0 {
		return found, nil
	}
	return nil, errors.New("no such host")
}

// Names that are not what their addresses are called are told, each with what to do.
func TestMisnamed(t *testing.T) {
	dns := zone{
		"nn.a.b": {"10.0.0.1"}, "10.0.0.1": {"NN.a.b.", "other."}, "second.a.b": {"10.0.0.4"}, "10.0.0.4": {"first.a.b.", "second.a.b."},
		"alias.a.b": {"10.0.0.2"}, "10.0.0.2": {"rm.a.b."},
		"bare.a.b": {"10.0.0.3"},
	}
	for host, want := range map[string]string{
		"nn.a.b":     "",
		"second.a.b": "second.a.b is 10.0.0.4, and that is called first.a.b by reverse DNS",
		"alias.a.b":  "alias.a.b is 10.0.0.2, and that is called rm.a.b by reverse DNS",
		"bare.a.b":   "that is called nothing (no such host)",
		"gone.a.b":   "gone.a.b has no address",
		"10.0.0.1":   "the address 10.0.0.1 where principals have names",
	} {
		got := misnamed(t.Context(), dns, []string{host})
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0].what, want) || got[0].next == "") {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestServerHosts(t *testing.T) {
	y := &yarnCluster{conf: conf.FromMap(map[string]string{"fs.defaultFS": "hdfs://ns1", "dfs.nameservices": "ns1", "dfs.ha.namenodes.ns1": "a,b",
		"dfs.namenode.rpc-address.ns1.a": "nn1.a.b:8020", "dfs.namenode.rpc-address.ns1.b": "nn2.a.b:8020", "yarn.resourcemanager.hostname": "nn1.a.b"})}
	if got := serverHosts(y); !slices.Equal(got, []string{"nn1.a.b", "nn2.a.b"}) {
		t.Errorf("%q", got)
	}
}

//go:build hadoop

package dockertest_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// fetch decodes the JSON at url.
func fetch(t *testing.T, c *dockertest.Cluster, url string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

func TestNodesAndQueues(t *testing.T) {
	c := dockertest.Running(t, "simple")
	var nodes struct {
		Nodes struct {
			Node []struct {
				NodeHostName          string
				State, Version        string
				AvailMemoryMB         int
				UsedMemoryMB          int
				AvailableVirtualCores int
				UsedVirtualCores      int
			}
		}
	}
	fetch(t, c, c.RMWeb()+"/ws/v1/cluster/nodes", &nodes)
	var names []string
	for _, n := range nodes.Nodes.Node {
		names = append(names, n.NodeHostName)
		if n.State != "RUNNING" || n.Version != c.Hadoop() ||
			n.AvailMemoryMB+n.UsedMemoryMB != layout.NodeMemoryMB ||
			n.AvailableVirtualCores+n.UsedVirtualCores != layout.NodeVcores {
			t.Errorf("node %+v; want RUNNING, Hadoop %s, %d MB, %d vcores", n, c.Hadoop(), layout.NodeMemoryMB, layout.NodeVcores)
		}
	}
	slices.Sort(names)
	if want := []string{"nm1", "nm2", "nm3"}; !slices.Equal(names, want) {
		t.Errorf("node managers on %q, want %q", names, want)
	}
	var scheduler struct {
		Scheduler struct {
			SchedulerInfo struct {
				Type   string
				Queues struct {
					Queue []struct {
						QueueName   string
						MaxCapacity float64
					}
				}
			}
		}
	}
	fetch(t, c, c.RMWeb()+"/ws/v1/cluster/scheduler", &scheduler)
	info := scheduler.Scheduler.SchedulerInfo
	var queues []string
	for _, q := range info.Queues.Queue {
		queues = append(queues, q.QueueName)
		if q.MaxCapacity != 100 {
			t.Errorf("queue %s may use %v %% of the cluster, want all of it", q.QueueName, q.MaxCapacity)
		}
	}
	slices.Sort(queues)
	if want := []string{"default", "etl"}; info.Type != "capacityScheduler" || !slices.Equal(queues, want) {
		t.Errorf("%s with queues %q, want capacityScheduler with %q", info.Type, queues, want)
	}
}

// Locality means something only if a block's host has the very name under which a node manager is known.
func TestBlocksLieOnNodeManagers(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	const path = "/user/alice/locality-test"
	if r := alice.FS(t, "-mkdir", "-p", path); r.Code != 0 {
		t.Fatal(r)
	}
	t.Cleanup(func() { alice.FS(t, "-rm", "-r", "-skipTrash", path) })
	if r := alice.RunInput(t, "some bytes", "hadoop-java", "org.apache.hadoop.fs.FsShell", "-put", "-f", "-", path+"/f"); r.Code != 0 {
		t.Fatal(r)
	}
	var locations struct {
		LocatedBlocks struct {
			LocatedBlocks []struct {
				Locations []struct{ HostName string }
			}
		}
	}
	fetch(t, c, c.Web("nn", layout.NameNode)+"/webhdfs/v1"+path+"/f?op=GET_BLOCK_LOCATIONS&user.name=alice", &locations)
	blocks := locations.LocatedBlocks.LocatedBlocks
	if len(blocks) != 1 || len(blocks[0].Locations) != 1 {
		t.Fatalf("%+v: want one block with one replica", blocks)
	}
	if host := blocks[0].Locations[0].HostName; !strings.HasPrefix(host, "nm") {
		t.Errorf("the block is on %q, which is no node manager's host", host)
	}
}

func TestHomes(t *testing.T) {
	c := dockertest.Running(t, "simple")
	for user, other := range map[string]string{"alice": "bob", "bob": "alice"} {
		edge := c.Edge(user)
		if r := edge.FS(t, "-touchz", "mine"); r.Code != 0 {
			t.Errorf("%s in the own home: %v", user, r)
		}
		if r := edge.FS(t, "-rm", "-skipTrash", "mine"); r.Code != 0 {
			t.Error(r)
		}
		r := edge.FS(t, "-touchz", "/user/"+other+"/theirs")
		if r.Code == 0 || !strings.Contains(r.Stderr, "Permission denied") {
			t.Errorf("%s in %s's home: %v", user, other, r)
		}
	}
}

// Pages of the node managers and of the ResourceManager's proxy are reached by their host names.
func TestPagesByName(t *testing.T) {
	c := dockertest.Running(t, "simple")
	for _, url := range []string{"http://rm:8088/cluster", "http://nm1:8042/node", "http://nn:9870/jmx", "http://nm3:9864/jmx"} {
		res, err := c.HTTP().Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", url, res.Status)
		}
	}
}

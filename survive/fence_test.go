package survive

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// The ResourceManager hears neither the application master nor its node, and starts the
// next attempt; the first lives on, and can be reached by all others. It serves nobody,
// who spoke to it finds the second, and nothing that runs ends. When the network is whole
// again it ends.
func TestTwoMastersLive(t *testing.T) {
	w := newWorld(t, minicluster.Options{
		Nodes: 2, Cluster: core.Config{AMExpiry: 4 * time.Second, MaxAttempts: 100},
		Site: map[string]string{"yarn.am.liveness-monitor.expiry-interval-ms": "4000"},
	})
	r := small(2)
	r.Wait, r.WaitWorkers = edgeclient.WaitWorkers, 2
	a := w.submit(r)
	c := a.connect()
	before := a.running()
	first, err := a.edge.Report(t.Context(), a.id)
	if err != nil {
		t.Fatal(err)
	}
	one := a.attempt()
	node, _ := a.masterOf(one)
	if node == nil {
		t.Fatal(errNoMaster)
	}

	w.RM.SchedulerServer().Cut(func(token []byte) bool {
		var who pb.AMRMTokenIdentifier
		return proto.Unmarshal(token, &who) == nil && yarn.AttemptIDFromPB(who.GetAppAttemptId()) == one
	})
	w.RM.Cut(node.ID(), true)
	a.await("the second attempt serves the session of before", func() bool {
		info, err := c.Session().Info(w.withTime())
		return err == nil && info.GetAttempt() == 2 && info.GetScheduler() != nil && info.GetReport().GetWorkers() == 2
	})
	if node, _ := a.masterOf(one); node == nil {
		t.Fatal("the first attempt did not live on: nothing was tested")
	}
	zombie, err := amclient.Dial(c.Session().Identity, amclient.Options{Addresses: []string{first.Endpoint}, CallTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zombie.Close() })
	if reply, err := zombie.Scale(t.Context(), "", 9); err == nil {
		t.Errorf("the first attempt scales: %v", reply)
	}
	if info, err := zombie.Info(t.Context()); err == nil {
		t.Errorf("the first attempt answers: %v", info)
	}
	if got, err := engine.Command([]string{"echo", "-n", "{}"}).Call(w.withTime(), c.Client, "on"); err != nil || string(got.Stdout) != "on" {
		t.Errorf("%+v, %v", got, err)
	}

	w.RM.SchedulerServer().Cut(nil)
	w.RM.Cut(node.ID(), false)
	a.await("the first attempt ends", func() bool { node, _ := a.masterOf(one); return node == nil })
	if after := a.running(); !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	if end := a.final(); end.Final != "SUCCEEDED" {
		t.Errorf("%+v", end)
	}
	a.gone()
}

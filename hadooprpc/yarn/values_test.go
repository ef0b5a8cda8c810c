package yarn

import (
	"errors"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

type settings map[string]string

func (s settings) Get(k string) (string, bool) { v, ok := s[k]; return v, ok }

func TestAddressesFromConf(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   settings
		want Addresses
		err  string
	}{
		{"host name alone", settings{"yarn.resourcemanager.hostname": " rm "},
			Addresses{Client: []string{"rm:8032"}, Scheduler: []string{"rm:8030"}, Web: []string{"rm:8088"}}, ""},
		{"own addresses", settings{"yarn.resourcemanager.hostname": "rm", "yarn.resourcemanager.address": "a:1", "yarn.resourcemanager.scheduler.address": "b", "yarn.http.policy": "HTTPS_ONLY"},
			Addresses{Client: []string{"a:1"}, Scheduler: []string{"b:8030"}, Web: []string{"rm:8090"}, HTTPS: true}, ""},
		{"defaults that name nobody", settings{"yarn.resourcemanager.hostname": "0.0.0.0", "yarn.resourcemanager.address": "0.0.0.0:8032"}, Addresses{}, "HADOOP_CONF_DIR"},
		{"a default built from the host name", settings{"yarn.resourcemanager.hostname": "rm", "yarn.resourcemanager.address": "${yarn.resourcemanager.hostname}:8032"},
			Addresses{Client: []string{"rm:8032"}, Scheduler: []string{"rm:8030"}, Web: []string{"rm:8088"}}, ""},
		{"nothing", settings{}, Addresses{}, "names no ResourceManager"},
		{"bad address", settings{"yarn.resourcemanager.hostname": "rm", "yarn.resourcemanager.address": "a:b:c"}, Addresses{}, "no host:port"},
		{"HA", settings{"yarn.resourcemanager.ha.enabled": "true", "yarn.resourcemanager.ha.rm-ids": "rm1, rm2", "yarn.resourcemanager.cluster-id": "c",
			"yarn.resourcemanager.hostname.rm1": "h1", "yarn.resourcemanager.hostname.rm2": "h2", "yarn.resourcemanager.address.rm2": "h2:9", "yarn.resourcemanager.address": "not:1"},
			Addresses{Client: []string{"h1:8032", "h2:9"}, Scheduler: []string{"h1:8030", "h2:8030"}, Web: []string{"h1:8088", "h2:8088"}, ClusterID: "c", HA: true}, ""},
		{"HA with a gap", settings{"yarn.resourcemanager.ha.enabled": "true", "yarn.resourcemanager.ha.rm-ids": "rm1,rm2", "yarn.resourcemanager.hostname.rm1": "h1"}, Addresses{}, `"rm2"`},
		{"HA of nobody", settings{"yarn.resourcemanager.ha.enabled": "TRUE"}, Addresses{}, "lists nobody"},
	} {
		got, err := AddressesFromConf(tc.in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v, want %q", tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got.Client, tc.want.Client) || !slices.Equal(got.Scheduler, tc.want.Scheduler) || !slices.Equal(got.Web, tc.want.Web) ||
			got.HA != tc.want.HA || got.HTTPS != tc.want.HTTPS || got.ClusterID != tc.want.ClusterID {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
		}
	}
	if _, err := AddressesFromConf(settings{}); !errors.Is(err, ErrNoResourceManager) {
		t.Error(err)
	}
}

func TestExitStatus(t *testing.T) {
	for s, want := range map[ExitStatus]struct {
		kind  ExitKind
		fault bool
		text  string
	}{
		0:     {KindSucceeded, false, "succeeded (0)"},
		1:     {KindFailed, true, "exit code 1"},
		128:   {KindFailed, true, "exit code 128"},
		137:   {KindSignalled, true, "killed by signal 9, killed (exit code 137)"},
		143:   {KindSignalled, true, "signal 15"},
		255:   {KindFailed, true, "exit code 255"},
		-1000: {KindRunning, false, "has not ended"},
		-100:  {KindNode, false, "lost with its node"},
		-101:  {KindNode, false, "disks"},
		-102:  {KindPreempted, false, "preempted"},
		-103:  {KindExceeded, true, "virtual memory (-103)"},
		-104:  {KindExceeded, true, "physical memory (-104)"},
		-105:  {KindStopped, false, "application master"},
		-106:  {KindStopped, false, "ResourceManager"},
		-107:  {KindStopped, false, "application ended"},
		-108:  {KindPreempted, false, "guaranteed"},
		-109:  {KindExceeded, true, "logged"},
		-7:    {KindUnknown, false, "exit code -7"},
	} {
		if s.Kind() != want.kind || s.AppFault() != want.fault || !strings.Contains(s.String(), want.text) {
			t.Errorf("%d: kind %d, fault %v, %q", int32(s), s.Kind(), s.AppFault(), s)
		}
	}
	if sig, ok := ExitStatus(137).Signal(); !ok || sig != syscall.SIGKILL {
		t.Error(sig, ok)
	}
}

func TestResources(t *testing.T) {
	r := NewResource(1024, 2, map[string]int64{GPU: 1, "a.org/x": 0})
	if got := ResourceString(r); got != "1024 MiB, 2 vcores, 1 yarn.io/gpu" {
		t.Error(got)
	}
	if got := Names(r); !slices.Equal(got, []string{Memory, Vcores, "a.org/x", GPU}) {
		t.Error(got)
	}
	// What a server sends holds memory twice: as a field, and with a unit in the map.
	server := &pb.Resource{Memory: proto.Int64(4096), VirtualCores: proto.Int32(8), ResourceValueMap: []*pb.ResourceInformation{
		{Key: proto.String(Memory), Value: proto.Int64(4096), Units: proto.String("Mi")},
		{Key: proto.String(GPU), Value: proto.Int64(2)},
		{Key: proto.String("disk"), Value: proto.Int64(3), Units: proto.String("Gi")},
		{Key: proto.String("huge"), Value: proto.Int64(math.MaxInt64), Units: proto.String("P")},
	}}
	if Amount(server, Memory) != 4096 || Amount(server, "disk") != 3<<30 || Amount(server, "absent") != 0 || Amount(server, "huge") <= 0 {
		t.Error(Amount(server, Memory), Amount(server, "disk"), Amount(server, "huge"))
	}
	if !FitsIn(r, server) || FitsIn(server, r) || FitsIn(NewResource(1, 1, map[string]int64{"b": 1}), server) || !FitsIn(NewResource(4096, 8, nil), server) {
		t.Error("FitsIn")
	}
}

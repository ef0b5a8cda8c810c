package listen

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/appmaster/spec"
)

func TestChoose(t *testing.T) {
	at := func(name, ip string) address { return address{name, netip.MustParseAddr(ip)} }
	node := []address{
		at("lo", "127.0.0.1"), at("eth0", "fe80::1"), at("eth0", "2001:db8::5"), at("eth0", "192.168.0.2"),
		at("eth1", "10.1.2.3"), at("eth1", "10.2.0.1"), at("ib0", "2001:db8:1::7"), at("down", "fe80::9"),
	}
	for want, ip := range map[string]string{
		"eth0": "192.168.0.2", "eth1": "10.1.2.3", "10.2.0.0/16": "10.2.0.1", "ib0": "2001:db8:1::7", "2001:db8:1::/48": "2001:db8:1::7", "127.0.0.0/8": "127.0.0.1",
	} {
		if got, err := choose(want, node); err != nil || got != ip {
			t.Errorf("%s: %s, %v; want %s", want, got, err, ip)
		}
	}
	for _, want := range []string{"eth2", "172.16.0.0/12", "down", "eth"} {
		if got, err := choose(want, node); err == nil || !strings.Contains(err.Error(), "eth1 10.1.2.3") {
			t.Errorf("%s: %s, %v; want an error that lists what there is", want, got, err)
		}
	}
}

// A range is used up to its last port, and then there is an error that says so.
func TestRangeIsUsedUp(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	taken := probe.Addr().(*net.TCPAddr).Port
	how := spec.Listen{Host: "127.0.0.1", PortMin: taken, PortMax: min(taken+3, 65535)}
	for i := 0; ; i++ {
		ln, err := Open(how)
		if err != nil {
			var none *NoPortError
			if !errors.As(err, &none) || !strings.Contains(err.Error(), "--port-range") {
				t.Errorf("got %v", err)
			}
			return
		}
		defer ln.Close()
		if port := ln.Addr().(*net.TCPAddr).Port; port <= how.PortMin || port > how.PortMax || i > 3 {
			t.Fatalf("port %d, the %dth of %d-%d", port, i, how.PortMin, how.PortMax)
		}
	}
}

func TestHost(t *testing.T) {
	for how, want := range map[spec.Listen]string{{}: "", {Host: "h"}: "h", {Interface: "127.0.0.0/8"}: "127.0.0.1"} {
		if got, err := Host(how); err != nil || got != want {
			t.Errorf("%+v: %q, %v; want %q", how, got, err, want)
		}
	}
	ln, err := Open(spec.Listen{Interface: "127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ip := ln.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		t.Errorf("listens on %s", ip)
	}
}

package cluster

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/jars"
	"github.com/yarnd/yarnd/dockertest/layout"
)

func TestSpecDefaults(t *testing.T) {
	t.Setenv("HADOOP", "")
	s, err := Spec{Composition: layout.Simple()}.complete()
	if err != nil || s.Name != "simple" || s.Hadoop != jars.Default {
		t.Errorf("%q, %q, %v", s.Name, s.Hadoop, err)
	}
	t.Setenv("HADOOP", "3.3.6")
	if s, err := (Spec{Composition: layout.Simple()}).complete(); err != nil || s.Hadoop != "3.3.6" {
		t.Errorf("with HADOOP=3.3.6: %q, %v", s.Hadoop, err)
	}
	for set, want := range map[string]string{"": "-XX:TieredStopAtLevel=1", "full": ""} {
		t.Setenv("HADOOP_JIT", set)
		s, err := Spec{Composition: layout.Simple()}.complete()
		if err != nil {
			t.Fatal(err)
		}
		files, err := s.files()
		if err != nil || strings.TrimSpace(string(files["bin/jvm.options"])) != want {
			t.Errorf("HADOOP_JIT=%s: the JVMs' options are %q, %v", set, files["bin/jvm.options"], err)
		}
	}
	t.Setenv("HADOOP_JIT", "none")
	if _, err := (Spec{Composition: layout.Simple()}).complete(); err == nil || !strings.Contains(err.Error(), "quick or full") {
		t.Errorf("HADOOP_JIT=none: %v", err)
	}
	t.Setenv("HADOOP_JIT", "")
	for _, bad := range []string{"Upper", "a b", "-x", "../up", strings.Repeat("a", 50)} {
		if _, err := (Spec{Name: bad, Composition: layout.Simple()}).complete(); err == nil {
			t.Errorf("%q was taken for a name", bad)
		}
	}
}

// Containers of an older description must not be taken for those of the present one, nor be replaced for nothing.
func TestFingerprint(t *testing.T) {
	print := func(s Spec, root string) string {
		t.Helper()
		p, err := s.fingerprint(root, cache.Dir("/cache"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	base := Spec{Name: "simple", Composition: layout.Simple(), Hadoop: "3.4.2"}
	if first, again := print(base, "/repo"), print(base, "/repo"); first != again {
		t.Error("equal specs, different fingerprints")
	}
	version, conf, host, jit := base, base, base, base
	version.Hadoop = "3.3.6"
	jit.JIT = "full"
	conf.Composition.Conf = layout.Conf{layout.YarnSite: {"a": "b"}}
	host.Composition.Hosts = host.Composition.Hosts[:5]
	secure, life := base, base
	secure.Composition = layout.Secured(layout.Simple(), "simple", layout.Realm("privacy"))
	short := layout.Realm("privacy")
	short.TicketLife = time.Minute
	life.Composition = layout.Secured(layout.Simple(), "simple", short)
	keys := base
	keys.Composition.Hosts = append(slices.Clone(keys.Composition.Hosts), layout.Host{Name: "kms", Daemons: []layout.Daemon{layout.KMS}})
	if keys.kms(cache.Dir("/cache")) == "" || base.kms(cache.Dir("/cache")) != "" {
		t.Error("the jars of a KMS are for hosts that have one")
	}
	seen := map[string]string{print(base, "/repo"): "base", print(base, "/other"): "another repository"}
	for name, s := range map[string]Spec{"version": version, "compiler": jit, "conf": conf, "host": host, "KMS": keys, "Kerberos": secure, "tickets' life": life} {
		p := print(s, "/repo")
		if other, twice := seen[p]; twice {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[p] = name
	}
}

func TestFilesAndMarker(t *testing.T) {
	s := Spec{Name: "simple", Composition: layout.Simple(), Hadoop: "3.4.2"}
	files, err := s.files()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"conf/nm1/yarn-site.xml", "conf/edge2/core-site.xml", "bin/daemon", "bin/hadoop-java", "bin/edge-signal"} {
		if len(files[want]) == 0 {
			t.Errorf("%s is not generated", want)
		}
	}
	dir := t.TempDir()
	if written(dir, "x") {
		t.Error("an empty folder is taken for written")
	}
	if err := s.write(dir, "x"); err != nil {
		t.Fatal(err)
	}
	if !written(dir, "x") || written(dir, "y") {
		t.Error("the marker does not say which fingerprint was written")
	}
}

// From this machine both names of a host mean the host, and other names what they always mean.
func TestDial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{
		spec:  Spec{Composition: layout.Secure()},
		addrs: map[string]netip.Addr{"nn": netip.MustParseAddr("127.0.0.1")},
	}
	for _, host := range []string{"nn", "nn.example.test", "127.0.0.1"} {
		conn, err := c.Dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("dial %s: %v", host, err)
			continue
		}
		conn.Close()
	}
	if conn, err := c.Dial(t.Context(), "tcp", "nn"); err == nil {
		conn.Close()
		t.Error("an address without a port was dialled")
	}
}

func TestSubnets(t *testing.T) {
	all := subnets("simple")
	seen := map[netip.Prefix]bool{}
	for _, s := range all {
		if seen[s] || s.Bits() != 24 || !prefix.Contains(s.Addr()) || s.Masked() != s {
			t.Fatalf("%v is no new /24 of %v", s, prefix)
		}
		seen[s] = true
	}
	if len(all) != 256 {
		t.Errorf("%d subnets", len(all))
	}
	if all[0] == subnets("simple-vmem")[0] {
		t.Error("the two compositions begin with the same subnet")
	}
	taken := []net.Addr{&net.IPNet{IP: net.IPv4(172, 29, 7, 1), Mask: net.CIDRMask(24, 32)}}
	if !overlaps(netip.MustParsePrefix("172.29.7.0/24"), taken) || overlaps(netip.MustParsePrefix("172.29.8.0/24"), taken) {
		t.Error("overlap with an interface's network is judged wrongly")
	}
}

func TestExtraHostsGiveFullNamesFirst(t *testing.T) {
	comp := layout.Simple()
	comp.Domain = "example.test"
	c := &Cluster{spec: Spec{Name: "x", Composition: comp}, addrs: map[string]netip.Addr{"nn": netip.MustParseAddr("172.29.0.10")}}
	lines := c.extraHosts()
	if lines[0] != "nn.example.test:172.29.0.10" || lines[1] != "nn:172.29.0.10" {
		t.Errorf("%q: a reverse look-up gives the first", lines[:2])
	}
}

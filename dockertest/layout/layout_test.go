package layout

import (
	"encoding/xml"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// site parses a site file as Hadoop does: names and values, entities resolved.
func site(t *testing.T, text []byte) Properties {
	t.Helper()
	var doc struct {
		XMLName  xml.Name `xml:"configuration"`
		Property []struct {
			Name  string `xml:"name"`
			Value string `xml:"value"`
		} `xml:"property"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	p := Properties{}
	for _, x := range doc.Property {
		if _, twice := p[x.Name]; twice {
			t.Errorf("%s is there twice", x.Name)
		}
		p[x.Name] = x.Value
	}
	return p
}

func TestXMLKeepsEveryByteThatHadoopReads(t *testing.T) {
	in := Properties{"a": "1 < 2 && \"x\"", "b": "${user.name}/*", "empty": "", "umlaut": "ü"}
	out := site(t, in.XML())
	if len(out) != len(in) {
		t.Errorf("%d properties became %d", len(in), len(out))
	}
	for name, want := range in {
		if out[name] != want {
			t.Errorf("%s = %q, want %q", name, out[name], want)
		}
	}
}

func TestXMLIsSorted(t *testing.T) {
	text := string(Properties{"b": "", "c": "", "a": ""}.XML())
	if a, b, c := strings.Index(text, ">a<"), strings.Index(text, ">b<"), strings.Index(text, ">c<"); a > b || b > c {
		t.Errorf("a, b, c are at %d, %d, %d", a, b, c)
	}
}

func TestEveryComposition(t *testing.T) {
	for _, c := range All() {
		t.Run(c.Name, func(t *testing.T) {
			checkHosts(t, c)
			for _, h := range c.Hosts {
				checkConf(t, c, h)
			}
			if got, err := ByName(c.Name); err != nil || got.Name != c.Name {
				t.Errorf("ByName: %v, %v", got.Name, err)
			}
		})
	}
}

func checkHosts(t *testing.T, c Composition) {
	t.Helper()
	seen := map[string]bool{}
	for _, h := range c.Hosts {
		if seen[h.Name] || h.Name == "" {
			t.Errorf("two hosts are called %q", h.Name)
		}
		seen[h.Name] = true
		if _, err := netip.ParseAddr(h.Name); err == nil {
			t.Errorf("the host name %q is an address", h.Name)
		}
		if h.Edge == (len(h.Daemons) > 0) {
			t.Errorf("%s: an edge node has no daemons and every other host has some", h.Name)
		}
	}
	nodes, data := c.With(NodeManager), c.With(DataNode)
	if !slices.EqualFunc(nodes, data, func(a, b Host) bool { return a.Name == b.Name }) {
		t.Error("locality is real only where each NodeManager has a DataNode on its host")
	}
	if len(nodes) != 3 || len(c.Edges()) != 2 || len(c.With(NameNode)) == 0 || len(c.With(ResourceManager)) == 0 {
		t.Errorf("%d node managers, %d edge nodes", len(nodes), len(c.Edges()))
	}
	for i, h := range nodes {
		if want := "nm" + string(rune('1'+i)); !strings.HasSuffix(h.Name, want) {
			t.Errorf("node manager %d is on %s: its name must end in %s", i, h.Name, want)
		}
	}
}

func checkConf(t *testing.T, c Composition, h Host) {
	t.Helper()
	files := c.HostConf(h).Files()
	yarn, core := site(t, files[YarnSite]), site(t, files[CoreSite])
	queues := site(t, files[CapacityScheduler])
	names := "hdfs://" + c.HostName(c.With(NameNode)[0]) + ":8020"
	if len(c.With(NameNode)) > 1 {
		names = "hdfs://" + NameService
	}
	attempts := "20"
	if len(c.With(ResourceManager)) > 1 {
		attempts = "1000"
	}
	for _, want := range []struct{ name, got, want string }{
		{"memory limits kill", yarn["yarn.nodemanager.resource.memory.enforced"], "false"},
		{"the resident size is checked", yarn["yarn.nodemanager.pmem-check-enabled"], "true"},
		{"logs are aggregated", yarn["yarn.log-aggregation-enable"], "true"},
		{"attempts", yarn["yarn.resourcemanager.am.max-attempts"], attempts},
		{"largest container", yarn["yarn.scheduler.maximum-allocation-mb"], "4096"},
		{"node manager heartbeats are the default", yarn["yarn.resourcemanager.nodemanagers.heartbeat-interval-ms"], ""},
		{"file system", core["fs.defaultFS"], names},
		{"queues", queues["yarn.scheduler.capacity.root.queues"], "default,etl"},
	} {
		if want.got != want.want {
			t.Errorf("%s: %s: %q, want %q", h.Name, want.name, want.got, want.want)
		}
	}
	if files["log4j.properties"] == nil {
		t.Error("without log4j.properties a daemon's log is empty")
	}
}

func TestOverlays(t *testing.T) {
	c := Simple()
	c.Conf = Conf{YarnSite: {"x": "composition", "y": "composition"}, "new.xml": {"z": "1"}}
	c.Hosts[2].Conf = Conf{YarnSite: {"x": "host"}}
	got := c.HostConf(c.Hosts[2])
	if got[YarnSite]["x"] != "host" || got[YarnSite]["y"] != "composition" || got["new.xml"]["z"] != "1" {
		t.Errorf("host over composition over base: %v, %v", got[YarnSite], got["new.xml"])
	}
	if other := c.HostConf(c.Hosts[3]); other[YarnSite]["x"] != "composition" {
		t.Errorf("a host's overlay reached another host: %q", other[YarnSite]["x"])
	}
}

func TestVmemIsCheckedInItsCompositionOnly(t *testing.T) {
	for name, want := range map[string]string{"simple": "false", "simple-vmem": "true"} {
		c, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.HostConf(c.Hosts[0])[YarnSite]["yarn.nodemanager.vmem-check-enabled"]; got != want {
			t.Errorf("%s: vmem check %q, want %q", name, got, want)
		}
	}
}

// A silent node or application master is given up when its composition says so, and where nodes are lost their blocks are
// elsewhere too.
func TestExpiry(t *testing.T) {
	for name, want := range map[string][3]string{
		"simple": {"30000", "30000", "1"}, "ha": {"600000", "20000", "1"}, "ha-nn": {"600000", "20000", "1"},
		"patient": {"600000", "600000", "3"}, "hasty": {"10000", "10000", "3"},
	} {
		c, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		got := c.HostConf(c.Hosts[0])
		if nm, am := got[YarnSite]["yarn.nm.liveness-monitor.expiry-interval-ms"], got[YarnSite]["yarn.am.liveness-monitor.expiry-interval-ms"]; nm != want[0] || am != want[1] {
			t.Errorf("%s: nodes are lost after %s ms, application masters after %s ms, want %s", name, nm, am, want)
		}
		if copies := got[HDFSSite]["dfs.replication"]; copies != want[2] {
			t.Errorf("%s: %s copies of a block, want %s", name, copies, want[2])
		}
	}
}

func TestDomainIsPartOfNames(t *testing.T) {
	c := Simple()
	c.Domain = "example.test"
	if got := c.HostConf(c.Hosts[0])[CoreSite]["fs.defaultFS"]; got != "hdfs://nn.example.test:8020" {
		t.Errorf("fs.defaultFS = %q", got)
	}
}

func TestUnknownNames(t *testing.T) {
	if _, err := ByName("nope"); err == nil || !strings.Contains(err.Error(), "simple-vmem") {
		t.Errorf("an unknown composition: %v; want the known ones named", err)
	}
	if _, err := Simple().Host("nope"); err == nil {
		t.Error("an unknown host was found")
	}
}

// A daemon is found in the process table by its pattern: by its own alone, and not somebody else who looks for it.
func TestPatternsFindTheirDaemonAlone(t *testing.T) {
	for _, c := range All() {
		for _, a := range c.Daemons() {
			looks := regexp.MustCompile(a.Pattern())
			if looks.MatchString("pgrep -f " + a.Pattern()) {
				t.Errorf("%s would find who looks for it", a.Pattern())
			}
			for _, b := range c.Daemons() {
				if line := "java -Dyarnd.daemon=" + b.Name + " -Xmx384m " + b.Main; looks.MatchString(line) != (a.Name == b.Name) {
					t.Errorf("%s and %q", a.Pattern(), line)
				}
			}
		}
	}
}

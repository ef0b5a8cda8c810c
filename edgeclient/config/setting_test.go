package config

import (
	"strings"
	"testing"
)

// The table is whole: no two settings share a name anywhere, every default and every
// example is one that its kind takes, and a person is told what a value must be.
func TestSettings(t *testing.T) {
	names := map[string]string{}
	for i := range Settings {
		s := &Settings[i]
		for _, name := range []string{"key " + s.Key, "flag " + s.Flag(), "variable " + s.Env(), "letter " + s.Short} {
			if other, twice := names[name]; twice && !strings.HasSuffix(name, " ") {
				t.Errorf("%s and %s share the %s", s.Key, other, name)
			}
			names[name] = s.Key
		}
		if s.Default != "" && s.Kind.Check(s.Default) != nil {
			t.Errorf("%s: the default %q is none", s.Key, s.Default)
		}
		if s.Kind.Want == "" || s.Help == "" {
			t.Errorf("%s is not explained", s.Key)
		}
		if strings.Count(s.Key, ".") > 1 {
			t.Errorf("%s is deeper than ParseYAML goes", s.Key)
		}
		if Lookup(s.Key) != s {
			t.Errorf("%s is not found", s.Key)
		}
	}
}

func TestNearestOf(t *testing.T) {
	names := []string{"worker-env", "workers", "wait", "name", "queue"}
	for written, want := range map[string]string{"worker": "workers", "wokers": "workers", "queu": "queue", "naem": "name", "worker-ev": "worker-env", "nonsense": "", "q": "", "": ""} {
		if got := NearestOf(written, names); got != want {
			t.Errorf("NearestOf(%q) = %q, want %q", written, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for written, want := range map[string]string{
		"wokers": "workers", "worker.memroy": "worker.memory", "worker-memory": "worker.memory", "workerMemory": "worker.memory",
		"worker_memory": "worker.memory", "Queue": "queue", "queu": "queue", "que": "queue", "worker.queue": "queue", "idleTimeout": "idle-timeout",
		"define": "hadoop", "shceduler": "scheduler", "nodelabel": "node-label", "completely": "", "x": "", "": "",
	} {
		if got := Nearest(written); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", written, got, want)
		}
	}
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string][2]int{"40000-40100": {40000, 40100}, "1024-1025": {1024, 1025}, " 2000 - 65535 ": {2000, 65535}} {
		if low, high, err := ParsePorts(text); err != nil || [2]int{low, high} != want {
			t.Errorf("%q: %d-%d, %v", text, low, high, err)
		}
	}
	for _, text := range []string{"", "40000", "40000:40100", "a-b", "80-90", "1023-2000", "40000-65536", "5000-4000", "4000-4000", "-1-5", "1e3-2e3"} {
		if low, high, err := ParsePorts(text); err == nil {
			t.Errorf("%q: %d-%d, want an error", text, low, high)
		}
	}
}

func TestCheckInterface(t *testing.T) {
	for _, s := range []string{"eth0", "bond0.12", "eth0:1", "10.1.0.0/16", "2001:db8::/32", "10.1.2.3/32"} {
		if err := CheckInterface(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "eth 0", "10.1.2.3/16", "10.1.0.0/33", "/", "a-name-that-is-too-long", "eth0;ls", "eth0/x"} {
		if CheckInterface(s) == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestParseLimits(t *testing.T) {
	for text, want := range map[string][2]int{"0:20": {0, 20}, "3:3": {3, 3}, " 1 : 10000 ": {1, 10000}} {
		if least, most, err := ParseLimits(text); err != nil || [2]int{least, most} != want {
			t.Errorf("%q: %d:%d, %v", text, least, most, err)
		}
	}
	for text, words := range map[string]string{"": "write it like 0:20", "20": "write it like 0:20", "a:b": "write it like 0:20", "5:3": "above the maximum", "-1:3": "not within", "0:10001": "not within", "0:0": "never be a worker"} {
		if least, most, err := ParseLimits(text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %d:%d, %v", text, least, most, err)
		}
	}
}

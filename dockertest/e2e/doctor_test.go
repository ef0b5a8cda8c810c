//go:build hadoop

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// What the doctor finds on a healthy cluster, and with one wrong thing in it.
func TestDoctor(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	type finding struct{ Check, Verdict, Detail, Next string }
	ask := func(code int, args ...string) map[string]finding {
		t.Helper()
		r := alice.Run(t, append([]string{"yarnd", "doctor", "-o", "json"}, args...)...)
		var doc struct{ Items []finding }
		if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || r.Code != code {
			t.Fatalf("want exit code %d: %v: %v", code, err, r)
		}
		found := map[string]finding{}
		for _, f := range doc.Items {
			found[f.Check] = f
		}
		return found
	}
	well := ask(0)
	for check, says := range map[string]string{
		"clock":             "agrees with the ResourceManager's", // read from a header of its web server
		"version":           "Hadoop 3.",
		"nodes":             "3 active",
		"queue":             "default",
		"staging directory": "/user/alice/.yarnd",
		"home directory":    "can be written",
	} {
		if f := well[check]; f.Verdict != "ok" || !strings.Contains(f.Detail, says) {
			t.Errorf("%s: %+v, want it ok and to say %q", check, f, says)
		}
	}
	if f := ask(1, "--queue", "nowhere")["queue"]; f.Verdict != "fail" || !strings.Contains(f.Next, "--queue default") {
		t.Errorf("a queue that is not there: %+v", f)
	}
}

package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/edgeclient"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The forms of data are a contract with scripts: a change of a golden file is a
// change of apiVersion, or an addition.
func TestOutputs(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	reports := []edgeclient.Report{
		{ID: "application_1700000000000_0002", Name: "bad\x1b[31mname\t", User: "alice", Queue: "root.etl", State: edgeclient.StateRunning,
			TrackingURL: "http://rm:8088/proxy/application_1700000000000_0002/", Tags: []string{"a", "b"}, Attempt: "appattempt_1700000000000_0002_000001",
			Progress: 0.5, Started: at, Endpoint: "nm1:4242"},
		{ID: "application_1700000000000_0001", Name: "yarnd", User: "alice", Queue: "root.default", State: edgeclient.StateFailed,
			Final: "FAILED", Diagnostics: "why: \"so\"", Started: at, Finished: at.Add(time.Minute)},
	}
	list := applications(reports)
	for i, c := range list.columns {
		if c.title == "AGE" { // the one that depends on the clock
			list.columns[i].value = func(edgeclient.Report) string { return "1m00s" }
		}
	}
	for _, format := range outputs {
		t.Run(format, func(t *testing.T) {
			var b bytes.Buffer
			if err := list.write(&b, format); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", "list."+format)
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if err := list.write(&bytes.Buffer{}, "xml"); edgeclient.CodeOf(err) != edgeclient.Usage {
		t.Errorf("an unknown form: %v", err)
	}
}

func TestVars(t *testing.T) {
	var v vars
	for _, s := range []string{"A=b=c", "B=", `C=x,"y" $z`} {
		if err := v.Set(s); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(vars{"A": "b=c", "B": "", "C": `x,"y" $z`}, v); diff != "" {
		t.Error(diff)
	}
	for _, s := range []string{"", "A", "=b"} {
		if err := v.Set(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

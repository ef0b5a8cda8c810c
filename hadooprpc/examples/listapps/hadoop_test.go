//go:build hadoop

package main

import (
	"bytes"
	"strings"
	"testing"
)

// On an edge node the configuration is enough.
func TestListAppsOfARealCluster(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-all"}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "APPLICATION") {
		t.Errorf("printed %q", &out)
	}
	t.Logf("\n%s", &out)
}

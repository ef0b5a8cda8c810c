package main

import (
	"slices"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// What is as by default, or not set, is not told.
func TestUnusual(t *testing.T) {
	got := unusual(conf.FromMap(map[string]string{
		"yarn.am.liveness-monitor.expiry-interval-ms":                      "20000",
		"yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms": "10000",
		"yarn.resourcemanager.am.max-attempts":                             "1000",
	}))
	if want := []string{"yarn.am.liveness-monitor.expiry-interval-ms is 20000, not 600000"}; !slices.Equal(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
)

func TestRules(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), analyzer, "bad", module+"hadooprpc/sasl")
}

// TestExceptions has each be of something that is there, and of rules that are kept.
func TestExceptions(t *testing.T) {
	kept := map[string]bool{}
	for _, r := range rules {
		if r.why == "" || kept[r.id] {
			t.Errorf("%s: no reason, or twice", r.id)
		}
		kept[r.id] = true
	}
	for _, e := range exceptions {
		if found, _ := filepath.Glob("../" + e.below + "*"); len(found) == 0 || e.why == "" {
			t.Errorf("%s: there is no such thing, or no reason", e.below)
		}
		for _, id := range strings.Fields(e.rules) {
			if !kept[id] {
				t.Errorf("%s is excepted from %s, which is not kept", e.below, id)
			}
		}
	}
}

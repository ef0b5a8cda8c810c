package journal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/journal"
)

// waitFor waits for a condition.
func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to be")
		}
		time.Sleep(time.Millisecond)
	}
}

// files names the store's files of a kind.
func files(t testing.TB, s journal.Store, kind string) []string {
	t.Helper()
	names, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var of []string
	for _, n := range names {
		if strings.HasPrefix(n, kind+"-") {
			of = append(of, n)
		}
	}
	return of
}

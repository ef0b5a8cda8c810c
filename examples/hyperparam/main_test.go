package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestSearch(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 in the PATH")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trial.py"), module, 0o600); err != nil {
		t.Fatal(err)
	}
	where := engine.Env(map[string]string{"PYTHONPATH": dir})
	client := enginetest.New(t, 2)
	trials := draw(7, 12)
	if !slices.Equal(trials, draw(7, 12)) || slices.Equal(trials, draw(8, 12)) {
		t.Error("the seed does not determine the trials")
	}
	var said strings.Builder
	best, err := search(t.Context(), client, trials, 0, &said, where)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if best.Accuracy < 0.85 || best.Loss > 0.5 || !strings.Contains(lines[len(lines)-1], trials[best.Number].String()) {
		t.Errorf("the best is %+v; it said\n%s", best, &said)
	}
	again, err := search(t.Context(), client, trials, 0, &said, where)
	if err != nil || again != best {
		t.Errorf("the same trials give %+v, %v, and gave %+v", again, err, best)
	}
	said.Reset()
	enough, err := search(t.Context(), client, trials, 100, &said, where)
	if err != nil || !strings.Contains(said.String(), "good enough after 1 of 12 trials") || enough.Loss >= 100 {
		t.Errorf("%+v, %v; it said\n%s", enough, err, &said)
	}
}

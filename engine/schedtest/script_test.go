package schedtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScripts replays the stories of testdata/scripts. Each was made by shrinking the
// schedule that found a fault, one that the core once had or one that somebody put
// into it (see package mutate); without the fault all go well.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			actions, err := ParseScript(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if r := Replay(actions, false); r.Err != nil {
				t.Fatal(r.Err)
			}
		})
	}
}

// What a schedule is written down as makes the same schedule.
func TestScriptText(t *testing.T) {
	for seed := range uint64(200) {
		r := Run(plan(seed + 1))
		text := FormatScript(r.Actions)
		actions, err := ParseScript(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(text, FormatScript(actions)); d != "" {
			t.Fatalf("seed %d: read and written again:\n%s", seed+1, d)
		}
		if again := Replay(actions, false); again.Hash != r.Hash || again.Stats != r.Stats {
			t.Fatalf("seed %d: %+v, from the text %+v", seed+1, r.Stats, again.Stats)
		}
	}
}

func TestScriptMistakes(t *testing.T) {
	for _, text := range []string{
		"jump m=1", "join x=1", "join m=one", "submit j=1 2", "submit j=1 2=x", "submit j=1 2=0(3)", "submit j=1 2=0@h", "release 1", "release 1.x", "up 3",
	} {
		if _, err := ParseScript("turn\n" + text); err == nil {
			t.Errorf("%q was read", text)
		} else if got := err.Error(); got[:8] != "line 2: " {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzScript reads any text: what can be read is written as something that reads the same.
func FuzzScript(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(FormatScript(Run(Plan{Seed: seed + 1, Actions: 40}).Actions))
	}
	f.Fuzz(func(t *testing.T, text string) {
		actions, err := ParseScript(text)
		if err != nil || len(actions) > 500 {
			return
		}
		again, err := ParseScript(FormatScript(actions))
		if err != nil {
			t.Fatalf("%v in\n%s", err, FormatScript(actions))
		}
		if d := cmp.Diff(FormatScript(actions), FormatScript(again)); d != "" {
			t.Fatal(d)
		}
	})
}

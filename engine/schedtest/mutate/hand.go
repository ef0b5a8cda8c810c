package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// handMutant replaces a text of a file by another.
type handMutant struct {
	name, file, from, to string
}

// readHand reads mutants in the form
//
//	== name
//	file engine/sched/attempt.go
//	-- the old text, as many lines
//	++ the new text, as many lines
//
// Lines before the first == are a comment.
func readHand(path string) (mutants []handMutant, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for n, line := range strings.Split(string(text), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if word == "==" {
			mutants = append(mutants, handMutant{name: rest})
			continue
		}
		if len(mutants) == 0 || line == "" {
			continue
		}
		switch m := &mutants[len(mutants)-1]; word {
		case "file":
			m.file = rest
		case "--":
			m.from += rest + "\n"
		case "++":
			m.to += rest + "\n"
		default:
			return nil, fmt.Errorf("%s:%d: %q is no part of a mutant", path, n+1, line)
		}
	}
	return mutants, nil
}

// build compiles a game with the mutant.
func (m *handMutant) build(g *game, dir string) (binary string, err error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.from); n != 1 {
		return "", fmt.Errorf("NEEDS CARE: its text is in %s %d times, not once", m.file, n)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.from, m.to, 1)), 0o644); err != nil {
		return "", err
	}
	return g.compile(dir, map[string]string{m.file: changed})
}

// scriptArgs are the arguments that make the simulator write a script.
func (m *handMutant) scriptArgs() ([]string, error) {
	file, err := filepath.Abs(filepath.Join(*scripts, m.name+".txt"))
	return []string{"-shrunk", file}, err
}

func writeOverlay(dir string, files map[string]string) (string, error) {
	replace := map[string]string{}
	for old, now := range files {
		path, err := filepath.Abs(old)
		if err != nil {
			return "", err
		}
		replace[path] = now
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, data, 0o644)
}

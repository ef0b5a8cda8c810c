package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/yarnd/yarnd/edgeclient/config"
)

const (
	unitDir  = "../../packaging/systemd"
	unitPath = "/usr/bin/yarnd" // in ExecStart
)

// units are the files that we ship, as lines KEY=VALUE.
func units(t *testing.T) map[string][][2]string {
	t.Helper()
	paths, err := filepath.Glob(unitDir + "/*.service")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no units in %s: %v", unitDir, err)
	}
	all := map[string][][2]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
				all[path] = append(all[path], [2]string{key, value})
			}
		}
	}
	return all
}

// What a unit starts is a command of ours, with arguments and flags that it takes, and
// what it puts into the environment is read there.
func TestUnitsStartCommands(t *testing.T) {
	for path, lines := range units(t) {
		root := (&command{}).root()
		at := slices.IndexFunc(lines, func(l [2]string) bool { return l[0] == "ExecStart" })
		if at < 0 {
			t.Errorf("%s starts nothing", path)
			continue
		}
		words := strings.Fields(strings.ReplaceAll(lines[at][1], "%i", "node1:8786"))
		cmd, rest, err := root.Find(words[1:])
		if words[0] != unitPath || err != nil || cmd == root {
			t.Errorf("%s: %q is no command: %v", path, words, err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, l := range lines {
			if l[0] != "Environment" {
				continue
			}
			for _, v := range strings.Fields(l[1]) {
				name, _, _ := strings.Cut(v, "=")
				if strings.HasPrefix(name, "YARND_") && !reads(cmd.Flags(), name) {
					t.Errorf("%s: %s has no meaning for %s", path, name, cmd.CommandPath())
				}
			}
		}
	}
}

// reads tells whether a variable of the environment sets one of a command's flags.
func reads(flags *pflag.FlagSet, name string) bool {
	found := false
	flags.VisitAll(func(f *pflag.Flag) {
		env := "YARND_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if key := f.Annotations[keyAnnotation]; key != nil {
			env = config.Must(key[0]).Env()
		}
		found = found || env == name
	})
	return found
}

// systemd has no complaint about a unit.
func TestUnitsVerify(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	self, err := os.Executable() // systemd looks whether it can be started
	if err != nil {
		t.Fatal(err)
	}
	for path := range units(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), unitPath, self)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "verify", "--man=no", "--recursive-errors=no", copied).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

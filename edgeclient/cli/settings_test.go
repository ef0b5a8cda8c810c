package cli

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
)

// perSubmission are the flags that cannot be settings: they say where settings are,
// and what to do with them this time.
var perSubmission = []string{"config", "dry-run", "help", "id-file", "if-not-exists"}

// Every flag of submit's is a setting, and every setting is a flag of submit's.
func TestEveryFlagIsASetting(t *testing.T) {
	root := (&command{}).root()
	cmd, _, err := root.Find([]string{"submit"})
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]bool{}
	look := func(f *pflag.Flag) {
		for _, name := range perSubmission {
			if f.Name == name {
				return
			}
		}
		key := f.Annotations[keyAnnotation]
		if len(key) != 1 || config.Lookup(key[0]) == nil || config.Must(key[0]).Flag() != f.Name {
			t.Errorf("--%s has no key in yarnd.yaml", f.Name)
			return
		}
		flags[key[0]] = true
	}
	cmd.LocalFlags().VisitAll(look)
	root.PersistentFlags().VisitAll(look)
	for _, s := range config.Settings {
		if !flags[s.Key] {
			t.Errorf("%s has no flag", s.Key)
		}
	}
}

// What the table says of defaults is what a library's request without any has.
func TestDefaultsAreTheRequests(t *testing.T) {
	var wait string
	r := edgeclient.Request{}
	requestFlags(pflag.NewFlagSet("submit", pflag.ContinueOnError), &r, &wait)
	if err := parseWait("wait", wait, &r); err != nil {
		t.Fatal(err)
	}
	if want := (edgeclient.Request{}).WithDefaults(); !reflect.DeepEqual(r, want) {
		t.Errorf("flags give\n%+v, the library\n%+v", r, want)
	}
}

// Of each kind of setting, a value of each source reaches the flag, and the one that
// comes first wins.
func TestApply(t *testing.T) {
	var wait string
	var define []string
	r := edgeclient.Request{}
	f := pflag.NewFlagSet("submit", pflag.ContinueOnError)
	requestFlags(f, &r, &wait)
	setting(f, config.HadoopKey, &define)
	if err := f.Parse([]string{"--workers", "3", "--worker-env", "A=flag", "--tags", "x,y", "-D", "a=flag", "-D", "a=later"}); err != nil {
		t.Fatal(err)
	}
	file, err := config.ParseYAML([]byte("workers: 9\nworker: {memory: 2GiB, env: {A: file, B: file}}\ntags: [z]\nfiles: ['a,b']\nqueue: etl\nidle-timeout: 5m\nallow-ratio: true\njournal: off\nkeep-results: 0s\nport-range: 2000-2010\nhadoop: {a: file, b: file}\n"), config.Origin{Source: config.FromHere, Name: "f"})
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(config.Merge(typed(f), file, config.Defaults()), f); err != nil {
		t.Fatal(err)
	}
	want := edgeclient.Request{Workers: 3, Tags: []string{"x", "y"}, Files: []string{"a,b"}, Queue: "etl", EnvVars: map[string]string{"A": "flag", "B": "file"},
		IdleTimeout: 300e9, AllowRatio: true, NoJournal: true, KeepResults: -1, Ports: edgeclient.Ports{Min: 2000, Max: 2010}, Worker: edgeclient.Resources{Memory: 2 << 30}}.WithDefaults()
	want.Wait = ""
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
	if !reflect.DeepEqual(define, []string{"a=flag", "a=later", "b=file"}) {
		t.Errorf("-D: %q", define)
	}
}

// The environment reaches flags that are no settings, under a name of the command's
// own where the short one means something else.
func TestFlagsFromEnv(t *testing.T) {
	for _, x := range []struct {
		command, flag, env, value string
		reaches                   bool
	}{
		{"env verify", "name", "YARND_NAME", "x", false},
		{"env verify", "name", "YARND_VERIFY_NAME", "x", false},
		{"env verify", "name", "YARND_ENV_VERIFY_NAME", "x", true},
		{"env verify", "app", "YARND_APP", "x", false},
		{"env verify", "app", "YARND_ENV_VERIFY_APP", "x", true},
		{"env verify", "import", "YARND_IMPORT", "x", true},
		{"env inspect", "allow-ratio", "YARND_ENV_INSPECT_ALLOW_RATIO", "true", false}, // it is the setting
		{"env gc", "dry-run", "YARND_DRY_RUN", "true", true},
		{"bundle build", "tags", "YARND_TAGS", "x", false},
		{"bundle build", "tags", "YARND_BUNDLE_BUILD_TAGS", "x", true},
		{"list", "queue", "YARND_QUEUE", "x", false},
		{"list", "queue", "YARND_LIST_QUEUE", "x", true},
	} {
		t.Run(x.env, func(t *testing.T) {
			cmd, _, err := (&command{}).root().Find(strings.Fields(x.command))
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv(x.env, x.value)
			if err := flagsFromEnv(cmd); err != nil {
				t.Fatal(err)
			}
			if f := cmd.Flags().Lookup(x.flag); f == nil || f.Changed != x.reaches {
				t.Errorf("yarnd %s --%s is %+v", x.command, x.flag, f)
			}
		})
	}
}

// completion and version answer whatever a file of settings says.
func TestNoSettingsNeeded(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	writeFile(t, "yarnd.yaml", "wokers: 3\n")
	for args, want := range map[string]int{"version": 0, "completion bash": 0, "__complete submit --": 0, "config path": 0, "list": 2, "config view": 2} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), strings.Fields(args), Streams{Out: &out, Err: &errs}); code != want {
			t.Errorf("yarnd %s ends with %d, want %d: %s", args, code, want, errs.String())
		}
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

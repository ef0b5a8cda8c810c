package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func parse(text string) (Layer, error) {
	return ParseYAML([]byte(text), Origin{Source: FromHere, Name: "f"})
}

func TestParseYAML(t *testing.T) {
	l, err := parse(`# a comment
workers: 20
worker:
  memory: 2GiB
  env: {A: 1, B: "x=y", C: true}
scheduler.vcores: 2
files: [a.txt, 'b,c.txt']
wait: workers:4
port-range: 40000-40100
allow-ratio: true
idle-timeout: 0
name: &n "one"
tags:
  - *n
hadoop:
  fs.defaultFS: hdfs://nn
  dfs.replication: 2
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range l {
		got = append(got, fmt.Sprintf("%d %s=%s", e.Origin.Line, e.FullKey(), strings.Join(e.Values, "|")))
	}
	want := []string{"2 workers=20", "4 worker.memory=2GiB", "5 worker.env.A=1", "5 worker.env.B=x=y", "5 worker.env.C=true", "6 scheduler.vcores=2",
		"7 files=a.txt|b,c.txt", "8 wait=workers:4", "9 port-range=40000-40100", "10 allow-ratio=true", "11 idle-timeout=0", "12 name=one", "13 tags=one",
		"16 hadoop.fs.defaultFS=hdfs://nn", "17 hadoop.dfs.replication=2"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "{}"} {
		if l, err := parse(text); err != nil || len(l) > 0 {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
}

// Whatever is wrong is told with file, line and what to do.
func TestParseYAMLRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"wokers: 3":                             `f:1: unknown key "wokers". Did you mean workers?`,
		"workers: 1\nworker:\n  memroy: 2GiB":   `f:3: unknown key "worker.memroy". Did you mean worker.memory?`,
		"worker-memory: 2GiB":                   `f:1: unknown key "worker-memory". Did you mean worker.memory?`,
		"worker:\n  queue: x":                   `f:2: unknown key "worker.queue". Did you mean queue?`,
		"nothing-like-it: 1":                    `f:1: unknown key "nothing-like-it". See yarnd config view`,
		"workers: many":                         `f:1: workers is text. workers must be a whole number from 0 to 10000`,
		`workers: "3"`:                          `f:1: workers is text`,
		"workers: -1":                           `f:1: workers is "-1". workers must be a whole number from 0 to 10000`,
		"workers: 10001":                        `f:1: workers is "10001"`,
		"workers: 0x10":                         `f:1: workers is "0x10"`,
		"workers: 1.5":                          `f:1: workers is a number`,
		"workers: [1]":                          `f:1: workers is a list`,
		"workers:":                              `f:1: workers has no value`,
		"worker: 5":                             `f:1: worker is a number`,
		"worker:\n  memory: 300":                `f:2: worker.memory: size "300" has no unit: write 300MiB or 300GiB`,
		"worker:\n  memory: 1KiB":               `f:2: worker.memory is "1KiB". worker.memory must be a size from 16MiB`,
		"worker:\n  env: [A]":                   `f:2: worker.env is a list`,
		"worker:\n  env:\n    A-B: c":           `f:3: "A-B" cannot be a name in worker.env`,
		"worker:\n  env:\n    A: [secret]":      `f:3: worker.env is a list`,
		"worker:\n  env:\n    A: \"x\\0\"":      `f:3: worker.env is something that no process can be given`,
		"queue: 5":                              `f:1: queue is a number. Write it in quotes: "5"`,
		"queue: a b":                            `f:1: queue is "a b"`,
		"name: 2026-01-01":                      `f:1: name is a date. Write it in quotes`,
		"files: a.txt":                          `f:1: files is text. files must be a list`,
		"files: [a, [b]]":                       `f:1: files is a list`,
		"allow-ratio: yes":                      `f:1: allow-ratio is text. allow-ratio must be true or false`,
		"idle-timeout: 30":                      `f:1: idle-timeout is "30". idle-timeout must be a duration`,
		"idle-timeout: -5m":                     `f:1: idle-timeout is "-5m"`,
		"output: xml":                           `f:1: output is "xml". output must be one of table`,
		"port-range: 80-90":                     `f:1: port-range: the ports 80-90 are not within 1024 to 65535`,
		"interface: 10.1.2.3/16":                `f:1: interface: "10.1.2.3/16" is no network: its bits after the first 16 are set; write 10.1.0.0/16`,
		"wait: workers":                         `f:1: wait is "workers"`,
		"workers: 1\nworkers: 2":                `f:2: workers is there twice, first in line 1`,
		"worker: {vcores: 1}\nworker.vcores: 2": `f:2: worker.vcores is there twice, first in line 1`,
		"hadoop:\n  a.b: 1\n  a.b: 2":           `f:3: hadoop.a.b is there twice`,
		"[1, 2]":                                `f:1: the file is no map of settings`,
		"just words":                            `f:1: the file is no map of settings`,
		"? [a]\n: 1":                            `f:1: a key is no text`,
		"workers: 1\n---\nworkers: 2":           `f:2: there is a second document`,
		"<<: {workers: 1}":                      `f:1: unknown key "<<"`,
		"a: *b":                                 `f: no YAML: unknown anchor 'b' referenced`,
		"workers: 1\n  queue: 2":                `f:2: no YAML: mapping values are not allowed`,
		strings.Repeat("#", MaxFile+1):          `f: the file is larger than 1MiB`,
	} {
		l, err := parse(text)
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %v, %v; want %s", text, l, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells a value: %v", text, err)
		}
	}
}

// What a file may hold is what its flags may hold.
func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{"workers: 3", "worker: {memory: 1GiB, env: {A: b}}", "files: [a]", "a: &a [*a]", "worker: &w\n  env: *w", "? x\n: y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parse(s)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Fatalf("a %T", err)
			}
			return
		}
		for _, e := range l {
			for _, v := range e.Values {
				if err := Must(e.Key).Kind.Check(v); err != nil {
					t.Fatalf("%s: %q: %v", e.FullKey(), v, err)
				}
			}
		}
	})
}

func TestTextAndProperties(t *testing.T) {
	env := map[string]string{"YARND_WORKERS": "3", "YARND_QUEUE": "", "YARND_FILES": `a,"b,c"`, "YARND_WORKER_ENV": "A=b=c, d\nB=", "YARND_OTHER": "x"}
	l, err := Environment(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range l {
		got = append(got, e.Origin.String()+" "+e.FullKey()+"="+strings.Join(e.Values, "|"))
	}
	want := []string{"YARND_WORKERS workers=3", "YARND_WORKER_ENV worker.env.A=b=c, d", "YARND_WORKER_ENV worker.env.B=", "YARND_FILES files=a|b,c"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l, _, err = Properties(map[string]string{"yarnd.queue": "etl", "yarnd.worker.env.A.B": "x", "yarnd.que": "x", "fs.defaultFS": "y", "yarnd.hadoop.a": "x"}, func(string) string { return "yarn-site.xml:3" })
	if err == nil || !strings.Contains(err.Error(), "yarn-site.xml:3") {
		t.Errorf("a bad name of a variable: %v, %v", l, err)
	}
	l, unknown, err := Properties(map[string]string{"yarnd.queue": "etl", "yarnd.worker.env.A": "x", "yarnd.que": "x", "fs.defaultFS": "y", "yarnd.hadoop.a": "x"}, func(string) string { return "yarn-site.xml:3" })
	if err != nil || len(l) != 2 || !slices.Equal(unknown, []string{"yarnd.hadoop.a", "yarnd.que"}) {
		t.Errorf("%+v, %q, %v", l, unknown, err)
	}
}

func TestFiles(t *testing.T) {
	env := map[string]string{"HOME": "/home/a"}
	lookup := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	paths := func() (out []string) {
		for _, f := range Files("c.yaml", lookup) {
			out = append(out, f.Path)
		}
		return out
	}
	if got, want := paths(), []string{"c.yaml", "yarnd.yaml", "/home/a/.config/yarnd/yarnd.yaml", "/etc/yarnd/yarnd.yaml"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	env["XDG_CONFIG_HOME"] = "/x"
	if got := paths()[2]; got != "/x/yarnd/yarnd.yaml" {
		t.Errorf("with XDG_CONFIG_HOME: %s", got)
	}
	env["XDG_CONFIG_HOME"] = "relative"
	if got := paths()[2]; got != "/home/a/.config/yarnd/yarnd.yaml" {
		t.Errorf("with a relative XDG_CONFIG_HOME: %s", got)
	}
}

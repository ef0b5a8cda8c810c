package conf

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mapEnv(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

// TestTwin compares every value with what Hadoop's Configuration made of the
// same files (testdata/ConfTwin.java).
func TestTwin(t *testing.T) {
	c, err := Load(Options{
		Dirs: []string{"testdata/twin"},
		Env:  mapEnv(map[string]string{"YARND_TWIN": "from-env", "YARND_TWIN_EMPTY": ""}),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := maps.Collect(c.All())
	got["fs.default.name"] = c.String("fs.default.name", "")
	if n, err := c.Bytes("dfs.blocksize", 0); err == nil {
		got["bytes(dfs.blocksize)"] = fmt.Sprint(n)
	}
	if d, err := c.Duration("t.duration", 0, time.Millisecond); err == nil {
		got["duration_ms(t.duration)"] = fmt.Sprint(d.Milliseconds())
	}
	if n, err := c.Int("t.hex", 0); err == nil {
		got["int(t.hex)"] = fmt.Sprint(n)
	}
	got["strings(dfs.nameservices)"] = strings.Join(c.Strings("dfs.nameservices"), "|")

	f, err := os.Open("testdata/golden/twin.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		k, v, _ := strings.Cut(lines.Text(), "=")
		want[k] = true
		if got[k] != v {
			t.Errorf("%s = %q, Hadoop has %q", k, got[k], v)
		}
	}
	for k := range got {
		if strings.HasPrefix(k, "t.") && !want[k] {
			t.Errorf("%s is set, for Hadoop it is not", k)
		}
	}
}

func TestOrigin(t *testing.T) {
	c, err := Load(Options{Dirs: []string{"testdata/twin"}, Overrides: map[string]string{"t.final": "mine"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"fs.defaultFS":                  "testdata/twin/core-site.xml:5",
		"t.leaf":                        "testdata/twin/more/leaf.xml:1",
		"t.final":                       "override",
		"yarn.resourcemanager.address":  "default",
		"yarn.resourcemanager.hostname": "testdata/twin/yarn-site.xml:2",
		"t.nowhere":                     "",
	} {
		if got := c.Origin(key); got != want {
			t.Errorf("Origin(%s) = %q, want %q", key, got, want)
		}
	}
	if v := c.String("t.final", ""); v != "mine" {
		t.Errorf("an override of a final key gives %q", v)
	}
	if v := c.String("yarn.resourcemanager.address", ""); v != "rm1.example:8032" {
		t.Errorf("a default does not see the site's host: %q", v)
	}
}

func TestFindsDirectories(t *testing.T) {
	write := func(dir, name, key, value string) string {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf("<configuration><property><name>%s</name><value>%s</value></property></configuration>", key, value)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	root := t.TempDir()
	hadoop := write(filepath.Join(root, "hadoop"), "core-site.xml", "k.core", "hadoop")
	write(hadoop, "yarn-site.xml", "k.yarn", "hadoop")
	yarn := write(filepath.Join(root, "yarn"), "yarn-site.xml", "k.yarn", "yarn")
	write(yarn, "core-site.xml", "k.core", "yarn")
	home := filepath.Join(root, "home")
	write(filepath.Join(home, "etc", "hadoop"), "core-site.xml", "k.core", "home")

	for _, tc := range []struct {
		name       string
		env        map[string]string
		core, yarn string
	}{
		{"HADOOP_CONF_DIR", map[string]string{"HADOOP_CONF_DIR": hadoop, "HADOOP_HOME": home}, "hadoop", "hadoop"},
		{"YARN_CONF_DIR", map[string]string{"YARN_CONF_DIR": yarn}, "yarn", "yarn"},
		{"both", map[string]string{"HADOOP_CONF_DIR": hadoop, "YARN_CONF_DIR": yarn}, "hadoop", "yarn"},
		{"HADOOP_HOME", map[string]string{"HADOOP_HOME": home}, "home", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Load(Options{Env: mapEnv(tc.env)})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.String("k.core", ""); got != tc.core {
				t.Errorf("core-site of %q, want %q", got, tc.core)
			}
			if got := c.String("k.yarn", ""); got != tc.yarn {
				t.Errorf("yarn-site of %q, want %q", got, tc.yarn)
			}
		})
	}

	_, err := Load(Options{Env: mapEnv(map[string]string{"HADOOP_CONF_DIR": root})})
	var nf *NotFoundError
	if !errors.As(err, &nf) || nf.Variable != "HADOOP_CONF_DIR" || !strings.Contains(err.Error(), root) {
		t.Errorf("a wrong HADOOP_CONF_DIR gives %v", err)
	}
}

func TestRefuses(t *testing.T) {
	const open, end = `<configuration xmlns:xi="http://www.w3.org/2001/XInclude">`, "</configuration>"
	deep := strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)
	for _, tc := range []struct{ name, body, want string }{
		{"doctype", `<!DOCTYPE c [<!ENTITY e "x">]>` + open + end, "core-site.xml:1: a DOCTYPE"},
		{"entity", open + "<property><name>a</name><value>&e;</value></property>" + end, "invalid character entity"},
		{"cut short", open + "\n<property>", "core-site.xml:2:"},
		{"not XML", "hello", "core-site.xml:1: no <configuration>"},
		{"another document", "<html/>", "the top element is <html>"},
		{"includes itself", open + `<xi:include href="core-site.xml"/>` + end, "includes itself"},
		{"includes a cycle", open + `<xi:include href="cycle.xml"/>` + end, "includes itself"},
		{"includes http", open + `<xi:include href="http://127.0.0.1:1/x.xml"/>` + end, "is not a local file"},
		{"includes another host", open + `<xi:include href="file://evil/x.xml"/>` + end, "is not a local file"},
		{"includes a device", open + `<xi:include href="/dev/zero"/>` + end, "not a regular file"},
		{"includes nothing", open + "\n\n" + `<xi:include href="absent.xml"/>` + end, `core-site.xml:3: included file "absent.xml" does not exist`},
		{"includes too deep", open + `<xi:include href="deep0.xml"/>` + end, "nested more than"},
		{"includes a bomb", open + `<xi:include href="bomb0.xml"/>` + end, "more than 128 files"},
		{"nests", open + deep + end, "nested more than 16 deep"},
		{"huge value", open + "<property><name>a</name><value>" + strings.Repeat("x", maxValue+1) + "</value></property>" + end, "a value has more than"},
		{"huge value in the short form", open + `<property name="a" value="` + strings.Repeat("x", maxValue+1) + `"/>` + end, "a value has more than"},
		{"huge file", open + strings.Repeat(" ", maxFileSize) + end, "bytes in a file"},
		{"refers in a circle", open + "<property><name>a</name><value>${b}</value></property><property><name>b</name><value>-${a}</value></property>" + end, "replacements of ${}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, body string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("core-site.xml", tc.body)
			write("cycle.xml", open+`<xi:include href="core-site.xml"/>`+end)
			for i := range 12 {
				write(fmt.Sprintf("deep%d.xml", i), open+fmt.Sprintf(`<xi:include href="deep%d.xml"/>`, i+1)+end)
			}
			for i := range 6 {
				write(fmt.Sprintf("bomb%d.xml", i), open+strings.Repeat(fmt.Sprintf(`<xi:include href="bomb%d.xml"/>`, i+1), 5)+end)
			}
			write("bomb6.xml", open+end)
			_, err := Load(Options{Dirs: []string{dir}})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestTypedValues(t *testing.T) {
	c := FromMap(map[string]string{
		"int": "42", "neg": "-0x10", "bad": "12x", "under": "1_000", "big": "3000000000000000000",
		"true": "TRUE", "yes": "yes",
		"ms": "250ms", "s": "30", "d": "7d", "m": "5m", "dbad": "1.5h", "dbig": "9999999999d",
		"k": "4K", "e": "9e", "b": "100", "float": "2.1", "nan": "NaN", "empty": "  ",
		"list": " a, ,b,c ",
	})
	ok := func(name string, got any, err error, want any) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	bad := func(name string, err error) {
		t.Helper()
		var ve *ValueError
		if !errors.As(err, &ve) || ve.Key != name {
			t.Errorf("%s: error %v, want a ValueError", name, err)
		}
	}
	i, err := c.Int("int", 0)
	ok("int", i, err, 42)
	i, err = c.Int("neg", 0)
	ok("neg", i, err, -16)
	i, err = c.Int("absent", 7)
	ok("absent", i, err, 7)
	i, err = c.Int("empty", 7)
	ok("empty", i, err, 7)
	_, err = c.Int("bad", 0)
	bad("bad", err)
	_, err = c.Int("under", 0)
	bad("under", err)
	b, err := c.Bool("true", false)
	ok("true", b, err, true)
	_, err = c.Bool("yes", false)
	bad("yes", err)
	d, err := c.Duration("ms", 0, time.Second)
	ok("ms", d, err, 250*time.Millisecond)
	d, err = c.Duration("s", 0, time.Second)
	ok("s", d, err, 30*time.Second)
	d, err = c.Duration("d", 0, time.Second)
	ok("d", d, err, 7*24*time.Hour)
	d, err = c.Duration("m", 0, time.Second)
	ok("m", d, err, 5*time.Minute)
	_, err = c.Duration("dbad", 0, time.Second)
	bad("dbad", err)
	_, err = c.Duration("dbig", 0, time.Second)
	bad("dbig", err)
	n, err := c.Bytes("k", 0)
	ok("k", n, err, int64(4096))
	n, err = c.Bytes("b", 0)
	ok("b", n, err, int64(100))
	_, err = c.Bytes("e", 0)
	bad("e", err)
	f, err := c.Float("float", 0)
	ok("float", f, err, 2.1)
	_, err = c.Float("nan", 0)
	bad("nan", err)
	if got := strings.Join(c.Strings("list"), "|"); got != "a|b|c" {
		t.Errorf("list: %q", got)
	}
	if w := c.With(map[string]string{"int": "1", "fs.default.name": "hdfs://x"}); w.String("int", "") != "1" || c.String("int", "") != "42" || w.String("fs.defaultFS", "") != "hdfs://x" {
		t.Error("With must change the copy and only the copy, under the key's present name")
	}
}

// FuzzParse looks for a file that makes the parser panic, hang or take memory
// without end.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"core-site.xml", "hdfs-site.xml", "more/included.xml"} {
		data, err := os.ReadFile(filepath.Join("testdata/twin", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`<?xml version="1.0" encoding="iso-8859-1"?><configuration><property name="` + "\xe9" + `" value="${a}"/></configuration>`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "core-site.xml")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Options{Dirs: []string{dir}, Env: mapEnv(nil)})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for k, v := range c.All() {
			if len(v) > (maxSubstitutions+1)*maxValue {
				t.Errorf("%s grew to %d bytes", k, len(v))
			}
		}
	})
}

// FuzzExpand holds expansion to its bounds for any two values that refer to
// each other.
func FuzzExpand(f *testing.F) {
	f.Add("${b}${b}", "${c}${c}")
	f.Add("${env.X:-${b}}", "${a")
	f.Fuzz(func(t *testing.T, a, b string) {
		c := FromMap(map[string]string{"a": a, "b": b})
		v, ok := c.expand(a)
		if !ok && v != a {
			t.Errorf("a failed expansion returned %q, not the original", v)
		}
		if start, end := findReference(a); start >= 0 && (end > len(a) || end-start < 4 || !strings.HasPrefix(a[start:end], "${")) {
			t.Errorf("reference [%d:%d] of %q", start, end, a)
		}
	})
}

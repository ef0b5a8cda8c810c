package logagg

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

const goldenApp = "application_1700000000000_12345"

func openGolden(t testing.TB, name string) *Logs {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/golden", name))); err != nil {
		t.Fatal(err)
	}
	fixTimes(t, dir)
	c := conf.FromMap(map[string]string{"yarn.nodemanager.remote-app-log-dir": "file://" + dir})
	l, err := Open(t.Context(), hdfs.NewLocal(hdfs.LocalOptions{}), c, goldenApp, "alice")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// section is what Hadoop's LogsCLI prints of one log file, but for its time.
func section(container, node, name string, body []byte) string {
	end := "End of LogType:" + name
	return fmt.Sprintf("Container: %s on %s\nLogAggregationType: AGGREGATED\n%s\nLogType:%s\nLogLength:%d\nLogContents:\n%s\n%s\n%s\n\n",
		container, node, strings.Repeat("=", len(container)+len(node)+15), name, len(body), body, end, strings.Repeat("*", len([]rune(end))+50))
}

var logTime = regexp.MustCompile(`(?m)^LogLastModifiedTime:(.*)\n`)

// javasSections cuts LogsCLI's output into sections and takes the times out.
func javasSections(text []byte) map[string]time.Time {
	sections := make(map[string]time.Time)
	starts := regexp.MustCompile(`(?m)^Container: container_\S+ on \S+\nLogAggregationType: `).FindAllIndex(text, -1)
	for i, s := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		one := string(text[s[0]:end])
		m := logTime.FindStringSubmatchIndex(one)
		if m == nil {
			continue
		}
		when, _ := time.Parse("Mon Jan 02 15:04:05 -0700 2006", one[m[2]:m[3]])
		sections[strings.TrimRight(one[:m[0]]+one[m[1]:], "\n")] = when
	}
	return sections
}

// compare holds all logs against what Java printed of them.
func compare(t *testing.T, l *Logs, java []byte) {
	t.Helper()
	want := javasSections(java)
	if len(want) == 0 {
		t.Fatalf("Java's output has no logs: %.500q", java)
	}
	n := 0
	for f, err := range l.Files(t.Context(), Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(body)) != f.Size {
			t.Errorf("%s %s has %d bytes, its size is %d", f.Container, f.Name, len(body), f.Size)
		}
		n++
		s := strings.TrimRight(section(f.Container, strings.Replace(f.Node, ":", "_", 1), f.Name, body), "\n")
		when, ok := want[s]
		if !ok {
			t.Errorf("%s %s on %s (%d bytes) is not what Java reads", f.Container, f.Name, f.Node, len(body))
			continue
		}
		if !when.Equal(time.UnixMilli(f.ModTimeMs).Truncate(time.Second)) {
			t.Errorf("%s %s has the time %v, for Java %v", f.Container, f.Name, time.UnixMilli(f.ModTimeMs).UTC(), when)
		}
	}
	if n != len(want) {
		t.Errorf("%d logs, Java has %d", n, len(want))
	}
}

// TestGolden reads what Hadoop's own writers wrote (testdata/LogsGolden.java).
func TestGolden(t *testing.T) {
	for _, name := range []string{"TFile-none", "TFile-gz", "IFile-none", "IFile-gz"} {
		t.Run(name, func(t *testing.T) {
			java, err := os.ReadFile("testdata/golden/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			l := openGolden(t, name)
			if got := l.Nodes(); !slices.Equal(got, []string{"nm1:45454", "nm2:45454"}) {
				t.Errorf("nodes %q", got)
			}
			if len(l.Pending()) != 0 {
				t.Errorf("pending: %q", l.Pending())
			}
			compare(t, l, java)
		})
	}
}

// fixTimes gives golden files their modification time, which version control does
// not keep and TFile's logs take theirs from.
func fixTimes(t testing.TB, dir string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/alice/*/2345/*/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, f := range files {
		if err := os.Chtimes(f, time.Time{}, time.UnixMilli(1700000000000)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, name := range []string{"TFile-gz", "IFile-gz"} {
		l := openGolden(t, name)
		for _, tc := range []struct {
			filter Filter
			want   int
		}{
			{Filter{}, 12},
			{Filter{Name: "stdout"}, 3},
			{Filter{Container: "container_1700000000000_12345_01_000002"}, 4},
			{Filter{Node: "nm2:45454"}, 4},
			{Filter{Node: "nm1:45454", Name: "binär-€"}, 2},
			{Filter{Name: "syslog"}, 0},
		} {
			n := 0
			for f, err := range l.Files(t.Context(), tc.filter) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n%2 == 0 { // reading it, or a part of it, or nothing, must not matter
					io.CopyN(io.Discard, f, f.Size/2)
				}
			}
			if n != tc.want {
				t.Errorf("%s %+v: %d logs, want %d", name, tc.filter, n, tc.want)
			}
		}
		for f := range l.Files(t.Context(), Filter{}) {
			if f.Container != "" {
				break // and nothing panics
			}
		}
	}
}

// copyGolden copies a golden directory so that it can be damaged.
func copyGolden(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/golden/"+name)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestIncompleteAndDamaged(t *testing.T) {
	for _, name := range []string{"TFile-none", "IFile-none"} {
		t.Run(name, func(t *testing.T) {
			dir := copyGolden(t, name)
			files, _ := filepath.Glob(dir + "/alice/*/2345/*/nm1_*")
			if len(files) != 1 {
				t.Fatal(files)
			}
			whole, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], whole[:len(whole)-100], 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Dir(files[0])+"/nm3_45454.tmp", []byte("under way"), 0o644); err != nil {
				t.Fatal(err)
			}
			c := conf.FromMap(map[string]string{"yarn.nodemanager.remote-app-log-dir": dir})
			l, err := Open(t.Context(), hdfs.NewLocal(hdfs.LocalOptions{}), c, goldenApp, "alice")
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Pending(); !slices.Equal(got, []string{"nm3:45454"}) {
				t.Errorf("pending: %q", got)
			}
			var bad, good int
			for f, err := range l.Files(t.Context(), Filter{}) {
				if err != nil {
					bad++
					if fe, ok := err.(*FileError); !ok || fe.Path != files[0] {
						t.Errorf("error %v", err)
					}
					continue
				}
				if f.Node == "nm2:45454" {
					good++
				}
			}
			if bad != 1 || good != 4 {
				t.Errorf("%d errors, %d logs of the other node; want 1 and 4", bad, good)
			}
		})
	}
}

// TestRollingIndex reads an indexed file to which more is being appended: only
// the part that the checksum file vouches for counts.
func TestRollingIndex(t *testing.T) {
	dir := copyGolden(t, "IFile-gz")
	files, _ := filepath.Glob(dir + "/alice/*/2345/*/nm1_*")
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], append(whole, "half an upload"...), 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(files[0])
	sum := append([]byte{0, 0, 0, byte(len(name))}, name...)
	sum = append(sum, 0, 0, 0, 0, 0, 0, byte(len(whole)>>8), byte(len(whole)))
	if err := os.WriteFile(files[0]+"-checksum", sum, 0o644); err != nil {
		t.Fatal(err)
	}
	c := conf.FromMap(map[string]string{"yarn.nodemanager.remote-app-log-dir": dir})
	l, err := Open(t.Context(), hdfs.NewLocal(hdfs.LocalOptions{}), c, goldenApp, "alice")
	if err != nil {
		t.Fatal(err)
	}
	java, err := os.ReadFile("testdata/golden/IFile-gz.txt")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, l, java)
	if got := l.Pending(); !slices.Equal(got, []string{"nm1:45454"}) {
		t.Errorf("pending: %q", got)
	}
}

func TestNotFound(t *testing.T) {
	fsys := hdfs.NewLocal(hdfs.LocalOptions{})
	c := conf.FromMap(map[string]string{"yarn.nodemanager.remote-app-log-dir": t.TempDir()})
	for _, tc := range []struct{ app, owner, want string }{
		{goldenApp, "alice", "log aggregation is off"},
		{"application_1_x", "alice", "no application id"},
		{"../../etc", "alice", "no application id"},
		{goldenApp, "../bob", "no user name"},
	} {
		_, err := Open(t.Context(), fsys, c, tc.app, tc.owner)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s of %s: %v", tc.app, tc.owner, err)
		}
	}
	_, err := Open(t.Context(), fsys, c.With(map[string]string{"yarn.log-aggregation-enable": "true"}), goldenApp, "alice")
	if err == nil || !strings.Contains(err.Error(), "some seconds after") {
		t.Error(err)
	}
}

func TestModifiedUTF(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "\xc3\xa4\xe2\x82\xac": "ä€", "a\xc0\x80b": "a\x00b",
		"\xed\xa0\xbd\xed\xb8\x80": "😀", "\xff\xc3": "\ufffd\ufffd", "\xed\xa0\xbd": "\ufffd",
	} {
		if got := fromModifiedUTF([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestVLong(t *testing.T) {
	for in, want := range map[string]int64{
		"\x00": 0, "\x7f": 127, "\xe0": -32, "\xcc\x80": 128, "\xdf\xff": 5119, "\xcb\x00": -256, "\xb8\x00": -5120,
		"\xa8\x14\x00": 5120, "\x98\x00\x00": -1048576, "\x90\x10\x00\x00": 1048576, "\x88\x00\x00\x00": -134217728,
		"\x83\x08\x00\x00\x00": 134217728, "\x84\x00\x80\x00\x00\x00": 1 << 31, "\x87\x7f\xff\xff\xff\xff\xff\xff\xff": 1<<63 - 1,
		"\x87\x80\x00\x00\x00\x00\x00\x00\x00": -1 << 63,
	} {
		got, err := newSource(strings.NewReader(in)).vlong()
		if err != nil || got != want {
			t.Errorf("% x: %d, %v; want %d", in, got, err, want)
		}
		if _, err := newSource(strings.NewReader(in[:len(in)-1])).vlong(); err == nil {
			t.Errorf("% x cut short gives no error", in)
		}
	}
	for _, in := range []string{"\x80\x00", "\x81\x00\x00", "\x82\x00\x00\x00"} {
		if _, err := newSource(strings.NewReader(in)).vlong(); err == nil {
			t.Errorf("% x is no number", in)
		}
	}
}

// readAll walks over all logs in a file with limits that a fuzzer respects.
func readAll(t *testing.T, data []byte, walk func(io.ReaderAt, nodeFile, Filter, func(string, part) bool) (bool, error)) {
	total := int64(0)
	_, err := walk(bytes.NewReader(data), nodeFile{end: int64(len(data))}, Filter{}, func(c string, p part) bool {
		n, _ := io.Copy(io.Discard, io.LimitReader(p.body, 1<<20))
		if total += n + 1; n > p.size {
			t.Errorf("%s %s gives %d of %d bytes", c, p.name, n, p.size)
		}
		return total < 8<<20
	})
	if err != nil && err.Error() == "" {
		t.Error("an error without words")
	}
}

func FuzzTFile(f *testing.F) {
	for _, name := range []string{"TFile-none", "TFile-gz"} {
		for _, seed := range seeds(f, name) {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { readAll(t, data, tfileLogs) })
}

func FuzzIFile(f *testing.F) {
	for _, name := range []string{"IFile-none", "IFile-gz"} {
		for _, seed := range seeds(f, name) {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		readAll(t, data, func(r io.ReaderAt, nf nodeFile, fl Filter, give func(string, part) bool) (bool, error) {
			return ifileLogs(r, nf.end, goldenApp, fl, give)
		})
	})
}

func FuzzJava(f *testing.F) {
	for _, seed := range seeds(f, "IFile-gz") {
		n := int(seed[len(seed)-ifileTail+2])<<8 | int(seed[len(seed)-ifileTail+3])
		f.Add(seed[len(seed)-ifileTail-n : len(seed)-ifileTail])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseJava(data)
		if err == nil {
			x := &ifile{}
			_ = x.readMeta(v, 1<<30)
		}
	})
}

func seeds(f *testing.F, name string) [][]byte {
	files, err := filepath.Glob("testdata/golden/" + name + "/alice/*/2345/*/nm*")
	if err != nil || len(files) != 2 {
		f.Fatalf("golden files: %q, %v", files, err)
	}
	var all [][]byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// TestUnknownCompression wants to be told which compression it is.
func TestUnknownCompression(t *testing.T) {
	_, err := decompress(bytes.NewReader(nil), region{}, "lzo")
	if err == nil || !strings.Contains(err.Error(), "lzo") || !strings.Contains(err.Error(), "yarn logs") {
		t.Errorf("error %v", err)
	}
}

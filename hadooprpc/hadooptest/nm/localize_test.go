package nm

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

type entry struct {
	name, body string
	kind       byte // of tar; 0 is a file
}

func tarOf(t testing.TB, zipped bool, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.body))}
		if e.kind != 0 {
			h.Typeflag, h.Size, h.Linkname = e.kind, 0, e.body
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == 0 {
			w.Write([]byte(e.body))
		}
	}
	w.Close()
	if !zipped {
		return b.Bytes()
	}
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	g.Write(b.Bytes())
	g.Close()
	return z.Bytes()
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(e.body))
	}
	w.Close()
	return b.Bytes()
}

func put1(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func archive(r *pb.LocalResource) { r.Type = pb.LocalResourceType_ARCHIVE.Enum() }

func visible(v pb.LocalResourceVisibility) func(*pb.LocalResource) {
	return func(r *pb.LocalResource) { r.Visibility = v.Enum() }
}

// Files and archives of all kinds appear under their links, from the caches where Hadoop has them.
func TestLocalization(t *testing.T) {
	b := newBench(t)
	src, err := os.MkdirTemp("", "public")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(src) })
	if err := os.Chmod(src, 0o755); err != nil {
		t.Fatal(err)
	}
	files := []entry{{name: "d/hello", body: "hi\n"}}
	links := append(files, entry{name: "d/link", body: "hello", kind: tar.TypeSymlink}, entry{name: "abs", body: "/etc/passwd", kind: tar.TypeSymlink}, entry{name: "hard", body: "d/hello", kind: tar.TypeLink})
	l := command("cat plain sub/dir/deep j/d/hello z/d/hello t/d/hello tz/d/link tgz/hard pat/d/hello raw > <LOG_DIR>/stdout && ls pat > <LOG_DIR>/pat && ls -ln . >&2; readlink plain pub priv > <LOG_DIR>/links; ./plain")
	prog := put1(t, src, "prog", []byte("#!/bin/sh\nexit 3\n"))
	pattern := func(r *pb.LocalResource) {
		r.Type, r.Pattern = pb.LocalResourceType_PATTERN.Enum(), proto.String("d/.*")
	}
	l.LocalResources = []*pb.StringLocalResourceMap{
		resource(t, "plain", prog),
		resource(t, "sub/dir/deep", put1(t, src, "deep", []byte("deep\n"))),
		resource(t, "j", put1(t, src, "a.jar", zipOf(t, files...)), archive),
		resource(t, "z", put1(t, src, "a.ZIP", zipOf(t, files...)), archive),
		resource(t, "t", put1(t, src, "a.tar", tarOf(t, false, links...)), archive),
		resource(t, "tz", put1(t, src, "a.tar.gz", tarOf(t, true, links...)), archive),
		resource(t, "tgz", put1(t, src, "a.tgz", tarOf(t, true, links...)), archive),
		resource(t, "pat", put1(t, src, "p.jar", zipOf(t, entry{name: "d/hello", body: "pat\n"}, entry{name: "other", body: "x"})), pattern),
		resource(t, "raw", put1(t, src, "raw.txt", []byte("raw\n")), archive),
		resource(t, "pub", prog, visible(pb.LocalResourceVisibility_PUBLIC)),
		resource(t, "priv", prog, visible(pb.LocalResourceVisibility_PRIVATE)),
	}
	c := b.runs(cid(1), l)
	if c.Exit != 3 {
		t.Fatalf("%d %q", c.Exit, c.Diagnostics)
	}
	if got := b.log(cid(1), "stdout"); got != "#!/bin/sh\nexit 3\ndeep\nhi\nhi\nhi\nhi\nhi\npat\nraw\n" {
		t.Errorf("%q", got)
	}
	if got := b.log(cid(1), "pat"); got != "d\np.jar\n" {
		t.Errorf("%q", got)
	}
	local := b.opt.LocalDirs[0]
	want := fmt.Sprintf("%s/usercache/alice/appcache/%s/filecache/10/prog\n%s/filecache/10/prog\n%s/usercache/alice/filecache/10/prog\n", local, testApp, local, local)
	if got := b.log(cid(1), "links"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for path, mode := range map[string]fs.FileMode{"filecache/10/prog": 0o555, "usercache/alice/filecache/10/prog": 0o500} {
		if st, err := os.Stat(filepath.Join(local, path)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
}

// Many containers that start at once share one copy, and so does a later one; a file that changed is a new one.
func TestLocalizedOnce(t *testing.T) {
	b := newBench(t)
	path := put1(t, t.TempDir(), "f", []byte("1"))
	l := command("cat f > <LOG_DIR>/stdout")
	for i := range 8 {
		l.LocalResources = []*pb.StringLocalResourceMap{resource(t, "f", path, visible(pb.LocalResourceVisibility_PRIVATE))}
		b.start(cid(int64(i+1)), l)
	}
	for i := range 8 {
		if c := b.ended(cid(int64(i + 1))); c.Exit != 0 || b.log(c.ID, "stdout") != "1" {
			t.Errorf("%d %q", c.Exit, c.Diagnostics)
		}
	}
	cached := func() int {
		dirs, _ := os.ReadDir(filepath.Join(b.opt.LocalDirs[0], "usercache/alice/filecache"))
		return len(dirs)
	}
	if n := cached(); n != 1 {
		t.Errorf("%d copies", n)
	}
	os.WriteFile(path, []byte("2"), 0o644)
	os.Chtimes(path, time.Time{}, time.UnixMilli(1700000000123))
	l.LocalResources = []*pb.StringLocalResourceMap{resource(t, "f", path, visible(pb.LocalResourceVisibility_PRIVATE))}
	if b.runs(cid(9), l); b.log(cid(9), "stdout") != "2" || cached() != 2 {
		t.Errorf("%q, %d copies", b.log(cid(9), "stdout"), cached())
	}
	// One that somebody deleted is fetched again.
	os.RemoveAll(filepath.Join(b.opt.LocalDirs[0], "usercache/alice/filecache/11"))
	if c := b.runs(cid(10), l); c.Exit != 0 {
		t.Errorf("%d %q", c.Exit, c.Diagnostics)
	}
}

func TestLocalizationFails(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	plain := put1(t, dir, "plain", []byte("x"))
	bad := func(name string, data []byte) *pb.StringLocalResourceMap {
		return resource(t, "a", put1(t, dir, name, data), archive)
	}
	for i, tc := range []struct {
		r    *pb.StringLocalResourceMap
		want string
	}{
		{resource(t, "f", plain, func(r *pb.LocalResource) { r.Timestamp = proto.Int64(1700000000123) }),
			"]Resource file:" + plain + " changed on src filesystem - expected: \"" + isoTime(1700000000123) + "\", was: \""},
		{resource(t, "f", plain, func(r *pb.LocalResource) { r.Resource.File = proto.String(plain + "-not") }),
			"]File file:" + plain + "-not does not exist\njava.io.FileNotFoundException: File file:"},
		{resource(t, "f", plain, visible(pb.LocalResourceVisibility_PUBLIC)), "is not publicly accessible and as such cannot be part of the public cache."},
		{resource(t, "f", plain, func(r *pb.LocalResource) { r.Resource.Scheme = proto.String("hdfs") }), `No FileSystem for scheme "hdfs"`},
		{bad("up.tar", tarOf(t, false, entry{name: "../up", body: "x"})), "would create file outside"},
		{bad("abs.zip", zipOf(t, entry{name: "/abs", body: "x"})), "would create file outside"},
		{bad("through.tgz", tarOf(t, true, entry{name: "l", body: dir, kind: tar.TypeSymlink}, entry{name: "l/pwned", body: "x"})), "Download and unpack failed"},
		{bad("hard.tar", tarOf(t, false, entry{name: "h", body: "../../../../x", kind: tar.TypeLink})), "would create file outside"},
		{bad("cut.tgz", tarOf(t, true, entry{name: "f", body: "x"})[:40]), "unexpected EOF"},
		{bad("fifo.tar", tarOf(t, false, entry{name: "f", kind: tar.TypeFifo})), "neither file, directory nor link"},
	} {
		l := command("true")
		l.LocalResources = []*pb.StringLocalResourceMap{tc.r}
		c := b.runs(cid(int64(i+1)), l)
		if c.Exit != yarn.ExitInvalid || !strings.Contains(c.Diagnostics, tc.want) {
			t.Errorf("want %q: %d %q", tc.want, c.Exit, c.Diagnostics)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("an archive wrote outside")
	}
	if left, _ := filepath.Glob(b.opt.LocalDirs[0] + "/usercache/alice/appcache/*/filecache/*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add("a.tar", tarOf(f, false, entry{name: "d/f", body: "x"}, entry{name: "l", body: "..", kind: tar.TypeSymlink}, entry{name: "l/up", body: "x"}))
	f.Add("a.tgz", tarOf(f, true, entry{name: "../f", body: "x"}))
	f.Add("a.zip", zipOf(f, entry{name: "d/f", body: "x"}, entry{name: "/f", body: "x"}))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if name != "a.tar" && name != "a.tgz" && name != "a.zip" || len(data) > 1<<16 {
			return
		}
		dir := t.TempDir()
		source := put1(t, dir, name, data)
		st, _ := os.Stat(source)
		into := filepath.Join(dir, "into", "here")
		os.MkdirAll(into, 0o755)
		_ = place(source, st, into, name, &pb.LocalResource{Type: pb.LocalResourceType_ARCHIVE.Enum()}, modes(false))
		for d, want := range map[string]int{dir: 2, filepath.Dir(into): 1} {
			if got, _ := os.ReadDir(d); len(got) != want {
				t.Errorf("%s holds %v", d, got)
			}
		}
	})
}

package packaging

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// item is an entry to be written into an archive.
type item struct {
	tar.Header
	body string
}

func fileEntry(name, body string) item {
	return item{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(body))}, body}
}
func dirEntry(name string) item {
	return item{tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}
func linkEntry(name, target string) item {
	return item{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, ""}
}
func hardEntry(name, target string) item {
	return item{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}, ""}
}
func deviceEntry(name string, kind byte) item {
	return item{tar.Header{Name: name, Typeflag: kind}, ""}
}

func tarGz(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for _, i := range items {
		if err := tw.WriteHeader(&i.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, i.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.Name, Method: zip.Deflate}
		h.SetMode(i.FileInfo().Mode())
		w, err := zw.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.body+i.Linkname); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSoundArchives(t *testing.T) {
	items := []item{
		dirEntry("."), dirEntry("bin"), fileEntry("./bin/python3.12", "binary"), linkEntry("bin/python", "python3.12"),
		fileEntry("lib/deep/er/module.py", "import this"), linkEntry("lib/up", "../bin"), linkEntry("lib/deep/er/py", "../../../bin/./python"),
		fileEntry("empty", ""), dirEntry("bin"), fileEntry("..name", "dots are no parents"),
		fileEntry("bin/python3.12", "binary"), // again, but the same
	}
	for name, b := range map[string][]byte{
		"a.tar.gz": tarGz(t, append(items, hardEntry("bin/hard", "bin/python3.12"))...),
		"a.TGZ":    tarGz(t, items...),
		"a.zip":    zipped(t, items...),
	} {
		file := write(t, filepath.Join(t.TempDir(), name), b)
		info, err := InspectArchive(t.Context(), file, Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info.Size != int64(len(b)) || info.Entries < 10 || info.Unpacked < 36 {
			t.Errorf("%s: %+v", name, info)
		}
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := Unpack(t.Context(), file, dir, Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := os.ReadFile(dir + "/lib/deep/er/py"); err != nil || string(got) != "binary" {
			t.Errorf("%s: through links: %q, %v", name, got, err)
		}
		if st, err := os.Stat(dir + "/bin/python3.12"); err != nil || st.Mode().Perm()&0o111 == 0 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

func TestRefusedArchives(t *testing.T) {
	big := strings.Repeat("\x00", 8<<20)
	good := []item{dirEntry("d"), fileEntry("d/f", "x")}
	whole := tarGz(t, fileEntry("f", strings.Repeat("contents ", 10_000)))
	wholeZip := zipped(t, fileEntry("f", strings.Repeat("contents ", 10_000)))
	flipped := slices.Clone(whole)
	flipped[len(flipped)-5] ^= 1 // in the checksum
	flippedZip := slices.Clone(wholeZip)
	flippedZip[60] ^= 0x55
	with := func(bad ...item) []byte { return tarGz(t, append(slices.Clone(good), bad...)...) }
	for _, tc := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"absolute", "a.tgz", with(fileEntry("/etc/passwd", "x")), "name is absolute"},
		{"parent", "a.tgz", with(fileEntry("d/../../x", "x")), "goes up"},
		{"backslash", "a.tgz", with(fileEntry(`..\x`, "x")), "backslash"},
		{"long part", "a.tgz", with(fileEntry(strings.Repeat("n", 300), "x")), "300 bytes"},
		{"absolute link", "a.tgz", with(linkEntry("l", "/etc/passwd")), "outside the archive"},
		{"link up", "a.tgz", with(linkEntry("d/l", "../../x")), "outside the archive"},
		{"link down and up", "a.tgz", with(linkEntry("l", "d/../..")), "goes up again"},
		{"link to nothing", "a.tgz", with(linkEntry("l", "")), "link to nothing"},
		{"below a link", "a.tgz", with(linkEntry("l", "d"), fileEntry("l/x", "x")), "which is no directory"},
		{"link above an entry", "a.tgz", with(fileEntry("m/x", "x"), linkEntry("m", "d")), "entries lie below it"},
		{"link chain", "a.tgz", with(dirEntry("p/q/r"), linkEntry("p/q/r/s", "../../.."), linkEntry("p/q/t", "r/s/..")), "goes up again"},
		{"chain through a link", "a.tgz", with(linkEntry("d/l", ".."), linkEntry("d/l/x", "../..")), "which is no directory"},
		{"chain below a link", "a.tgz", with(linkEntry("d/l", ".."), linkEntry("d/l/x", "..")), "which is no directory"},
		{"link over a file", "a.tgz", with(linkEntry("d/f", "x")), "has it twice"},
		{"another file", "a.tgz", with(fileEntry("d/f", "y")), "with different contents"},
		{"hard link over a file", "a.tgz", with(hardEntry("d/f", "d/f")), "has it twice"},
		{"file over a link", "a.tgz", with(linkEntry("l", "d/f"), fileEntry("l", "x")), "has it twice"},
		{"hard link out", "a.tgz", with(hardEntry("h", "../x")), "goes up"},
		{"hard link to a link", "a.tgz", with(linkEntry("l", "d/f"), hardEntry("h", "l")), "no earlier file"},
		{"hard link to later", "a.tgz", with(hardEntry("h", "later"), fileEntry("later", "x")), "no earlier file"},
		{"device", "a.tgz", with(deviceEntry("c", tar.TypeChar)), "device"},
		{"block device", "a.tgz", with(deviceEntry("b", tar.TypeBlock)), "device"},
		{"pipe", "a.tgz", with(deviceEntry("p", tar.TypeFifo)), "device"},
		{"too many", "a.tgz", with(fileEntry("1", ""), fileEntry("2", ""), fileEntry("3", "")), "more than 4 entries"},
		{"bomb", "a.tgz", with(fileEntry("zeros", big)), "--allow-ratio"},
		{"bomb in the padding", "a.tgz", append(with(), gzipped(t, big)...), "--allow-ratio"},
		{"zip bomb", "a.zip", zipped(t, fileEntry("zeros", big)), "--allow-ratio"},
		{"empty file", "a.tgz", nil, "it is empty"},
		{"no entries", "a.tgz", tarGz(t), "no entries"},
		{"no zip entries", "a.zip", zipped(t), "no entries"},
		{"cut short", "a.tgz", whole[:len(whole)/2], "cut short"},
		{"tail cut", "a.tgz", whole[:len(whole)-4], "cut short"},
		{"checksum", "a.tgz", flipped, "damaged"},
		{"cut zip", "a.zip", wholeZip[:len(wholeZip)-10], "no whole zip file"},
		{"damaged zip", "a.zip", flippedZip, "damaged"},
		{"zip absolute", "a.zip", zipped(t, fileEntry("/x", "x")), "name is absolute"},
		{"zip parent", "a.zip", zipped(t, fileEntry("a/../../x", "x")), "goes up"},
		{"zip link", "a.zip", zipped(t, linkEntry("l", "/etc/passwd")), "outside the archive"},
		{"zip device", "a.zip", zipped(t, deviceEntry("c", tar.TypeChar)), "device"},
		{"other format", "a.tgz", wholeZip, "its contents are zip; rename it to end in .zip"},
		{"xz", "a.tar.gz", []byte("\xfd7zXZ\x00 and so on"), "its contents are xz; pack it as .tar.gz"},
		{"text", "a.zip", []byte("hello"), "of no known form"},
		{"other name", "a.tar.bz2", whole, "cannot unpack a file of this name"},
		{"not gzip's tar", "a.tgz", gzipped(t, "just text that is no tar archive"+strings.Repeat(" ", 600)), "damaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			outer := t.TempDir()
			file := write(t, filepath.Join(outer, tc.file), tc.data)
			limits := Limits{}
			if tc.name == "too many" {
				limits.Entries = 4
			}
			check := func(err error) {
				t.Helper()
				if ae := (*ArchiveError)(nil); !errors.As(err, &ae) || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), file) {
					t.Errorf("error %v, want one with %q", err, tc.want)
				}
			}
			_, err := InspectArchive(t.Context(), file, limits)
			check(err)
			_, err = Unpack(t.Context(), file, filepath.Join(outer, "in", "out"), limits)
			check(err)
			outside, _ := os.ReadDir(outer)
			for _, e := range outside {
				if e.Name() != tc.file && e.Name() != "in" {
					t.Errorf("unpacking left %s outside", e.Name())
				}
			}
		})
	}
}

func gzipped(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	if _, err := io.WriteString(gz, s); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLimitsCanBeLifted(t *testing.T) {
	file := write(t, t.TempDir()+"/a.tgz", tarGz(t, fileEntry("zeros", strings.Repeat("\x00", 8<<20)), linkEntry("py", "/usr/bin/python3")))
	if _, err := InspectArchive(t.Context(), file, Limits{Ratio: -1, OutsideLinks: true}); err != nil {
		t.Error(err)
	}
	if _, err := InspectArchive(t.Context(), file, Limits{Ratio: -1, OutsideLinks: true, Unpacked: 1 << 20}); err == nil {
		t.Error("8 MiB were unpacked where 1 is the limit")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := InspectArchive(ctx, file, Limits{Ratio: -1}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context ended", err)
	}
}

// FuzzUnpack throws archives at Unpack and looks whether anything appears
// outside, or whether a link inside leads out. The tar is compressed here, so
// that the fuzzer need not guess checksums.
func FuzzUnpack(f *testing.F) {
	untar := func(b []byte) []byte {
		gz, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			f.Fatal(err)
		}
		plain, err := io.ReadAll(gz)
		if err != nil {
			f.Fatal(err)
		}
		return plain
	}
	f.Add(false, untar(tarGz(f, dirEntry("d"), fileEntry("d/f", "x"), linkEntry("l", "d/f"), hardEntry("h", "d/f"))))
	f.Add(false, untar(tarGz(f, linkEntry("d/l", ".."), linkEntry("d/l/x", ".."))))
	f.Add(true, zipped(f, dirEntry("d"), fileEntry("d/f", "x"), linkEntry("l", "d/f")))
	f.Fuzz(func(t *testing.T, isZip bool, data []byte) {
		outer := t.TempDir()
		name := "a.tgz"
		if isZip {
			name = "a.zip"
		} else {
			data = gzipped(t, string(data))
		}
		file := write(t, filepath.Join(outer, name), data)
		dir := filepath.Join(outer, "in", "out")
		_, err := Unpack(t.Context(), file, dir, Limits{Entries: 100, Unpacked: 1 << 20})
		for _, d := range []string{outer, filepath.Dir(dir)} {
			if entries, _ := os.ReadDir(d); len(entries) > 2 {
				t.Fatalf("%s has %v", d, entries)
			}
		}
		if err != nil {
			return
		}
		filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.Type()&fs.ModeSymlink != 0 {
				if real, err := filepath.EvalSymlinks(p); err == nil && real != dir && !strings.HasPrefix(real, dir+"/") {
					t.Fatalf("%s leads to %s", p, real)
				}
			}
			return nil
		})
	})
}

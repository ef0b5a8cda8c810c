package cli_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tgz makes an archive of one file and what is given.
func tgz(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for _, h := range append([]tar.Header{{Name: "d/f", Typeflag: tar.TypeReg, Mode: 0o644, Size: 0}}, headers...) {
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	if _, err := zw.Create(name); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every wrong archive is refused by submit and by env inspect alike, as a usage
// error that says what, why and what to do, and leaves nothing behind.
func TestWrongArchives(t *testing.T) {
	bomb := tgz(t, tar.Header{Name: "zeros", Typeflag: tar.TypeReg, Size: 8 << 20})
	whole := tgz(t, tar.Header{Name: "g", Typeflag: tar.TypeReg, Size: 100})
	for _, tc := range []struct {
		file string
		data []byte
		want string
	}{
		{"empty.tgz", nil, "it is empty"},
		{"cut.tgz", whole[:len(whole)-6], "cut short"},
		{"damaged.tgz", append(append([]byte{}, whole[:len(whole)-8]...), "12345678"...), "damaged"},
		{"text.tgz", []byte("hello"), "of no known form"},
		{"zip.tgz", zipOf(t, "a"), "rename it to end in .zip"},
		{"archive.rar", whole, "YARN cannot unpack"},
		{"parent.tgz", tgz(t, tar.Header{Name: "../x", Typeflag: tar.TypeReg}), "goes up"},
		{"absolute.tgz", tgz(t, tar.Header{Name: "/x", Typeflag: tar.TypeReg}), "absolute"},
		{"slip.zip", zipOf(t, "a/../../x"), "goes up"},
		{"chain.tgz", tgz(t, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"}, tar.Header{Name: "l/m", Typeflag: tar.TypeSymlink, Linkname: ".."}), "no directory"},
		{"link.tgz", tgz(t, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../../etc"}), "outside the archive"},
		{"hard.tgz", tgz(t, tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), "absolute"},
		{"device.tgz", tgz(t, tar.Header{Name: "c", Typeflag: tar.TypeChar}), "device"},
		{"pipe.tgz", tgz(t, tar.Header{Name: "p", Typeflag: tar.TypeFifo}), "pipe"},
		{"twice.tgz", tgz(t, tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Size: 1}), "twice"},
		{"both.tgz", tgz(t, tar.Header{Name: "d", Typeflag: tar.TypeReg}), "no directory"},
		{"bomb.tgz", bomb, "--allow-ratio"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, tc.file)
			if err := os.WriteFile(file, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"submit", "--env", file}, {"env", "inspect", file}, {"env", "push", file}} {
				cmd := exec.Command(filepath.Join(programs, "yarnd"), args...)
				cmd.Env = append(os.Environ(), "YARND_PROVIDER=local", "YARND_HOME="+dir+"/state", "HOME="+dir, "XDG_CACHE_HOME="+dir+"/cache")
				var errs bytes.Buffer
				cmd.Stderr = &errs
				err := cmd.Run()
				if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 2 {
					t.Errorf("%v: %v, want exit code 2: %s", args, err, &errs)
				}
				if got := errs.String(); !strings.Contains(got, tc.want) || !strings.Contains(got, tc.file) || strings.Count(got, "\n") != 1 {
					t.Errorf("%v says %q, want %q", args, got, tc.want)
				}
			}
			left, _ := filepath.Glob(dir + "/state/local/local_*")
			if entries, _ := filepath.Glob(dir + "/state/local/.yarnd/cache/*/*"); len(left)+len(entries) > 0 {
				t.Errorf("left %v %v", left, entries)
			}
		})
	}
}

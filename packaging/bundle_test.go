package packaging

import (
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// buildProgram builds the smallest static Go program.
func buildProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/go.mod", []byte("module example.com/tiny\n\ngo 1.26\n"))
	write(t, dir+"/main.go", []byte("package main\n\nfunc main() {}\n"))
	cmd := exec.Command("go", "build", "-o", "tiny", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "tiny")
}

func TestCheckBundle(t *testing.T) {
	program := buildProgram(t)
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	b, err := CheckBundle(program)
	if err != nil {
		t.Fatal(err)
	}
	if b.Size != int64(len(data)) || b.SHA256 != sha256.Sum256(data) || b.Machine != runtime.GOARCH || b.Module != "example.com/tiny" || b.Library != "" || !strings.HasPrefix(b.Go, "go1") {
		t.Errorf("%+v", b)
	}

	variant := func(name string, change func([]byte) []byte) string {
		file := write(t, filepath.Join(t.TempDir(), name), change(append([]byte{}, data...)))
		if err := os.Chmod(file, 0o755); err != nil {
			t.Fatal(err)
		}
		return file
	}
	same := func(b []byte) []byte { return b }
	plain := variant("not-executable", same)
	if err := os.Chmod(plain, 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"/bin/ls":   "dynamically linked",
		plain:       "not executable",
		t.TempDir(): "not a regular file",
		"/no/such":  "no such file",
		variant("script", func([]byte) []byte { return []byte("#!/bin/sh\n") }):   "it is a script",
		variant("text", func([]byte) []byte { return []byte("hello") }):           "no Linux program",
		variant("empty", func([]byte) []byte { return nil }):                      "no Linux program",
		variant("cut", func(b []byte) []byte { return b[:40] }):                   "damaged",
		variant("half", func(b []byte) []byte { return b[:len(b)/2] }):            "damaged",
		variant("archive", func([]byte) []byte { return []byte("PK\x03\x04") }):   "no Linux program",
		variant("sparc", func(b []byte) []byte { b[18], b[19] = 2, 0; return b }): "for processors of type sparc",
		variant("object", func(b []byte) []byte { b[16] = 1; return b }):          "not a program",
		variant("freebsd", func(b []byte) []byte { b[7] = 9; return b }):          "not for Linux",
	} {
		_, err := CheckBundle(file)
		if be := (*BundleError)(nil); !errors.As(err, &be) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}

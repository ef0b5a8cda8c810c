package image

import (
	"archive/tar"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ory/dockertest/v3"

	"github.com/yarnd/yarnd/dockertest/cache"
)

func TestNameFollowsWhatTheImageIsMadeFrom(t *testing.T) {
	name := Name()
	if !strings.HasPrefix(name, Repository+":") || name != Name() {
		t.Fatalf("name %q, then %q", name, Name())
	}
	old := packages
	t.Cleanup(func() { packages = old })
	packages = append(slices.Clone(old), "another")
	if Name() == name {
		t.Error("another package, the same name: the old image would go on being used")
	}
}

// TestDebootstrapWhereBuildingFails has an engine with the image to build from, but whose builds fail, as they do where
// containers cannot reach Debian's packages and this machine can.
func TestDebootstrapWhereBuildingFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("debootstrap needs root")
	}
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/build") {
			http.Error(w, "no route to the packages", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "{}")
	}))
	defer engine.Close()
	pool, err := dockertest.NewPool(engine.URL)
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name, script := range map[string]string{
		"debootstrap": "exit 0", "chroot": "exit 0", "tar": `while [ "$1" != -cf ]; do shift; done; echo made >"$2"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c := cache.Dir(t.TempDir())
	dir, err := c.Make("image")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "x.tar")
	if err := create(t.Context(), pool, c, file, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "made\n" {
		t.Errorf("%q, %v", text, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestBuildContext(t *testing.T) {
	files := map[string]string{}
	r := tar.NewReader(buildContext())
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
	if len(files) != 2 || files["Dockerfile"] != string(dockerfile) || files["setup.sh"] != string(setup) {
		t.Errorf("the build context holds %d files", len(files))
	}
}

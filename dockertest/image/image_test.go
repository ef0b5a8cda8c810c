package image

import (
	"archive/tar"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
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

package jars

import (
	"encoding/xml"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest/cache"
)

// quiet throws away what is logged.
var quiet = slog.New(slog.DiscardHandler)

func TestResolveTakesWhatTheCacheHas(t *testing.T) {
	t.Setenv("PATH", "") // no mvn, no apt-get: nothing can be fetched
	c := cache.Dir(t.TempDir())
	if err := os.MkdirAll(Folder(c, "3.4.2"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(t.Context(), c, "3.4.2", quiet); err != nil || got != Folder(c, "3.4.2") {
		t.Errorf("%q, %v", got, err)
	}
	_, err := Resolve(t.Context(), c, "3.3.6", quiet)
	if err == nil || !strings.Contains(err.Error(), "mvn") || !strings.Contains(err.Error(), "maven") {
		t.Errorf("without mvn: %v; want it and its package named", err)
	}
	if _, err := os.Stat(Folder(c, "3.3.6")); !os.IsNotExist(err) {
		t.Error("a fetch that failed left a folder that looks complete")
	}
}

func TestAFailedFetchLeavesNothing(t *testing.T) {
	bin := t.TempDir()
	// A mvn that copies half and fails.
	script := "#!/bin/sh\nfor a; do case $a in -DoutputDirectory=*) mkdir -p \"${a#*=}\"; echo > \"${a#*=}/half.jar\";; esac; done\necho no route; exit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c := cache.Dir(t.TempDir())
	if _, err := Resolve(t.Context(), c, "3.4.2", quiet); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("%v; want what mvn said", err)
	}
	if left, err := os.ReadDir(c.Path("jars")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestKMSHasJarsOfItsOwn(t *testing.T) {
	c := cache.Dir(t.TempDir())
	// A mvn that writes down its arguments, and the POM.
	fakes(t, map[string]string{"mvn": `all="$*"; for a; do case $a in -DoutputDirectory=*) d=${a#*=}; mkdir -p "$d";; *pom.xml) pom=$a;; esac; done; echo "$all" | cat - "$pom" >"$d/seen"`})
	got, err := ResolveKMS(t.Context(), c, "3.3.6", quiet)
	if err != nil || got != KMSFolder(c, "3.3.6") || got == Folder(c, "3.3.6") || got == KMSFolder(c, "3.4.2") {
		t.Fatalf("%q, %v", got, err)
	}
	text, err := os.ReadFile(filepath.Join(got, "seen"))
	for _, want := range []string{"-Dhadoop.version=3.3.6", "-DincludeArtifactIds=hadoop-kms,jul-to-slf4j", "<artifactId>hadoop-kms</artifactId>"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %q, %v", want, text, err)
		}
	}
	fakes(t, map[string]string{"mvn": "exit 1"})
	if again, err := ResolveKMS(t.Context(), c, "3.3.6", quiet); err != nil || again != got {
		t.Errorf("what is there was not taken: %q, %v", again, err)
	}
}

func TestVersionsThatAreNone(t *testing.T) {
	for _, v := range []string{"", "3", "latest", "../../etc", "3.4.2/x", "3.4.2 -Dx"} {
		if _, err := Resolve(t.Context(), cache.Dir(t.TempDir()), v, quiet); err == nil {
			t.Errorf("%q was taken for a version", v)
		}
	}
}

func TestPOM(t *testing.T) {
	var doc struct {
		Dependencies struct {
			Dependency []struct {
				ArtifactID string `xml:"artifactId"`
				Version    string `xml:"version"`
			} `xml:"dependency"`
		} `xml:"dependencies"`
	}
	if err := xml.Unmarshal(pom, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Dependencies.Dependency) < 10 {
		t.Errorf("only %d dependencies", len(doc.Dependencies.Dependency))
	}
	for _, d := range doc.Dependencies.Dependency {
		if !strings.HasPrefix(d.Version, "${") {
			t.Errorf("%s has the fixed version %q", d.ArtifactID, d.Version)
		}
	}
}

// fakes puts scripts of those names in front of everything, in place of all that is there.
func fakes(t *testing.T, scripts map[string]string) {
	t.Helper()
	bin := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func TestOwnClassesAreCompiledAgainstTheRelease(t *testing.T) {
	c := cache.Dir(t.TempDir())
	if err := os.MkdirAll(Folder(c, "3.4.2"), 0o755); err != nil {
		t.Fatal(err)
	}
	jar := filepath.Join(Folder(c, "3.4.2"), "hadoop-common.jar")
	if err := os.WriteFile(jar, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	fakes(t, map[string]string{"mvn": "exit 0", "java": `echo no such class; exit 1`})
	if _, err := ResolveOwn(t.Context(), c, "3.4.2", quiet); err == nil || !strings.Contains(err.Error(), "no such class") {
		t.Errorf("%v; want what the compiler said", err)
	}
	if left, err := os.ReadDir(c.Path("jars")); err != nil || len(left) != 1 {
		t.Errorf("a compilation that failed left %v, %v", left, err)
	}
	// A compiler that writes down its arguments.
	fakes(t, map[string]string{"java": `all="$*"; while [ "$1" != -d ]; do shift; done; mkdir -p "$2"; echo "$all" >"$2/arguments"`})
	got, err := ResolveOwn(t.Context(), c, "3.4.2", quiet)
	if err != nil || got != OwnFolder(c, "3.4.2") {
		t.Fatalf("%q, %v", got, err)
	}
	text, err := os.ReadFile(filepath.Join(got, "classes", "arguments"))
	for _, want := range []string{"-classpath " + jar + " ", "SecureIOUtils.java", "Folders.java"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %q, %v", want, text, err)
		}
	}
	fakes(t, map[string]string{"java": "exit 1", "mvn": "exit 1"})
	if again, err := ResolveOwn(t.Context(), c, "3.4.2", quiet); err != nil || again != got {
		t.Errorf("what is there was not taken: %q, %v", again, err)
	}
	if OwnFolder(c, "3.3.6") == got {
		t.Error("two releases share what was compiled against one")
	}
}

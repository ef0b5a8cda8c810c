package packaging

import (
	"os"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	dir := plant(t, t.TempDir(), map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n", "job/main.go": "package main\n\nfunc main() {}\n",
		"lib/lib.go": "package lib\n", "broken/main.go": "package main\n\nfunc main() { undefined() }\n",
	})
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-buildvcs=false")
	t.Setenv("GOWORK", "off")
	if _, err := Build(t.Context(), BuildOptions{Package: "./job"}); err == nil || !strings.Contains(err.Error(), "/job is a directory; name another file") {
		t.Errorf("error %v", err)
	}
	b, err := Build(t.Context(), BuildOptions{Package: "./job", To: "out"})
	if err != nil || b.Module != "example.com/m" || b.Path != dir+"/out" {
		t.Errorf("%+v, %v", b, err)
	}
	for pkg, want := range map[string]string{"./lib": "not a program", "./absent": "no Go package", "--x": "a flag"} {
		if _, err := Build(t.Context(), BuildOptions{Package: pkg}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot build") {
			t.Errorf("%s: %v", pkg, err)
		}
	}
	if _, err := Build(t.Context(), BuildOptions{Package: "./broken", To: "b"}); err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir + "/b"); err == nil {
		t.Error("a failed build left a program")
	}
	t.Setenv("PATH", dir)
	if _, err := Build(t.Context(), BuildOptions{Package: "./job"}); err == nil || !strings.Contains(err.Error(), "no go command") {
		t.Errorf("error %v", err)
	}
}

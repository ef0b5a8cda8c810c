package survive

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// A slice of make chaos: faults of every kind for a while, another seed than that of
// whoever runs it for long.
func TestChaos(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "chaos")
	build := exec.Command("go", "build", "-o", bin, "./chaos")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	length := "40s"
	if testing.Short() {
		length = "15s"
	}
	run := exec.CommandContext(t.Context(), bin, "-for", length, "-tasks", "5000", "-seed", "7")
	run.Env = append(run.Environ(), "TMPDIR="+dir)
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

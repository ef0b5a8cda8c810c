package survive

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A slice of make chaos: one fault of each kind.
func TestChaos(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "chaos")
	build := exec.Command("go", "build", "-o", bin, "./chaos")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := []string{"-each", "-v", "-tasks", "5000", "-seed", "7"}
	if testing.Short() {
		args = append(args, "-faults", "master killed,scheduler killed,worker killed,HDFS")
	}
	if os.Getenv("CI") != "" {
		args = append(args, "-all")
	}
	run := exec.CommandContext(t.Context(), bin, args...)
	run.Env = append(run.Environ(), "TMPDIR="+dir)
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

//go:build hadoop

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// pythonHome makes, in the working directory, a virtual environment with one package
// in it, laid out as pip does, and a script that needs it.
const pythonHome = `set -e
rm -rf .venv env.tar.gz
python3 -m venv --without-pip .venv
site=$(echo .venv/lib/python3*/site-packages)
mkdir $site/scoring $site/scoring-1.5.dist-info
cat > $site/scoring/__init__.py <<'.'
__version__ = "1.5"
def score(n):
    if n == 113:
        raise ValueError("113 has no score")
    return n * n
.
printf 'Metadata-Version: 2.1\nName: scoring\nVersion: 1.5\n' > $site/scoring-1.5.dist-info/METADATA
cat > score.py <<'.'
import sys, scoring
print(sys.argv[1], scoring.score(int(sys.argv[1])))
.
`

// A Python user brings a virtual environment and maps a script over inputs. The
// environment comes out of HDFS: its own place is gone before the first item.
func TestPythonEnvironment(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	alice.Must(t, "sh", "-c", pythonHome)
	alice.Must(t, "yarnd", "env", "pack", "venv://.venv", "--to", "env.tar.gz")
	if out := alice.Must(t, "yarnd", "env", "inspect", "env.tar.gz", "-o", "wide"); !strings.Contains(out, "scoring") || !strings.Contains(out, "/usr/bin/python3") {
		t.Errorf("inspect shows neither the package nor the Python that nodes must have:\n%s", out)
	}
	alice.Must(t, "yarnd", "env", "verify", "env.tar.gz", "--import", "scoring")
	alice.Must(t, "rm", "-r", ".venv")

	a := submit(t, alice, "--workers", "3", "--worker-memory", "256MiB", "--env", "env.tar.gz", "--files", "score.py", "--wait", "workers:3")
	var items, want strings.Builder
	for n := range 100 {
		fmt.Fprintln(&items, n)
		fmt.Fprintln(&want, n, n*n)
	}
	argv := []string{"yarnd", "map", a.id, "--", "environment/bin/python", "score.py", "{}"}
	if r := alice.RunInput(t, items.String(), argv...); r.Code != 0 || r.Stdout != want.String() {
		t.Errorf("100 inputs: %v", r)
	}
	// One that fails shows its traceback and does not take the others with it.
	if r := alice.RunInput(t, "112\n113\n114\n", argv...); r.Code == 0 ||
		!strings.Contains(r.Stderr, "ValueError: 113 has no score") || !strings.Contains(r.Stdout, "112 12544") || !strings.Contains(r.Stdout, "114 12996") {
		t.Errorf("one input of three fails: %v", r)
	}
	// The interpreter is that of the container's own copy.
	if prefix := a.must(t, "exec", "--", "environment/bin/python", "-c", "import sys; print(sys.prefix)"); !strings.Contains(prefix, "/environment") {
		t.Errorf("sys.prefix on a worker is %s", prefix)
	}
	if out := alice.Must(t, "yarnd", "env", "verify", "--app", a.id, "--import", "scoring"); !strings.Contains(out, "scoring 1.5") {
		t.Errorf("verify on a worker:\n%s", out)
	}
	if r := alice.Run(t, "yarnd", "env", "verify", "--app", a.id, "--import", "absent"); r.Code != 2 || !strings.Contains(r.Stderr, "cannot import absent") {
		t.Errorf("a module that is not there: %v", r)
	}
	if r := alice.Run(t, "yarnd", "env", "rm", "env.tar.gz"); r.Code != 5 || !strings.Contains(r.Stderr, a.id) {
		t.Errorf("removing an environment that runs: %v", r)
	}
	a.must(t, "kill")
	a.leftNothing(t)
}

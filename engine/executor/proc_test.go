package executor

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestFamilyOf: both ways to find descendants see the same, grandchildren and zombies
// included.
func TestFamilyOf(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'sleep 1000 & echo; wait' & true & read x; wait")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		killTree(cmd.Process.Pid)
		in.Close()
		cmd.Wait()
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	mine, ok := familyOf(os.Getpid())
	if !ok {
		t.Skip("this kernel lists no children")
	}
	all := processes()
	want := append(all.descendants(cmd.Process.Pid), cmd.Process.Pid)
	var got []int
	for _, p := range mine {
		if !p.zombie && slices.Contains(want, p.pid) {
			got = append(got, p.pid)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) < 3 {
		t.Errorf("%v, in all of /proc %v: %s", got, want, strings.Join(describe(want), "; "))
	}
}

package edgeclient

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What an application on this machine worked with goes at the next submit, when its
// application master could not see to it; the newest ones' logs stay, and all of one
// that runs.
func TestPrune(t *testing.T) {
	t.Setenv("YARND_HOME", t.TempDir())
	l, err := openLocal(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	app := func(n int, a localApp) string {
		t.Helper()
		id := fmt.Sprintf("local_%d_0001", n)
		for _, dir := range []string{"am", "containers", "filecache", "logs"} {
			if err := os.MkdirAll(l.dir(id, dir, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		text, err := json.Marshal(a)
		if err == nil {
			err = os.WriteFile(l.dir(id, "app.json"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	began, _ := processBegan(os.Getpid())
	runs := app(1, localApp{PID: os.Getpid(), Began: began})
	const more = 2
	var died []string
	for n := range keepLocal + more {
		died = append(died, app(10+n, localApp{PID: 1<<22 + 1}))
	}
	l.prune()
	left := func(id string) (names []string) {
		paths, _ := filepath.Glob(l.dir(id, "*"))
		for _, p := range paths {
			names = append(names, filepath.Base(p))
		}
		return names
	}
	want := func(id, want string) {
		t.Helper()
		if got := fmt.Sprint(left(id)); got != want {
			t.Errorf("of %s there is %s, want %s", id, got, want)
		}
	}
	want(runs, "[am app.json containers filecache logs]")
	for i, id := range died {
		if i < more {
			want(id, "[]")
		} else {
			want(id, "[app.json logs]")
		}
	}
}

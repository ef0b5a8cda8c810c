package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	testApp    = "application_1700000000000_0042"
	testMaster = "container_e03_1700000000000_0042_02_000001"
	// speakVar has the test's own program be a process that does nothing, and speaks to an address if it is one.
	speakVar = "YARND_CHAOS_SPEAK"
)

func TestMain(m *testing.M) {
	to, stays := os.LookupEnv(speakVar)
	if !stays {
		os.Exit(m.Run())
	}
	if to != "" {
		if _, err := net.Dial("tcp", to); err != nil {
			os.Exit(1)
		}
	}
	time.Sleep(time.Minute)
}

// container starts a process as a node manager does: in its container's directory, by the name yarnd.
func container(t *testing.T, id, role, speaks string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), appOf(id), id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args, cmd.Dir, cmd.Env = []string{"./yarnd", role}, dir, append(os.Environ(), speakVar+"="+speaks)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	return cmd
}

func TestAgentSeesContainers(t *testing.T) {
	container(t, testMaster, "appmaster", "")
	container(t, strings.Replace(testMaster, "_0042_", "_0043_", 1), "worker", "") // of another application
	container(t, testMaster[:len(testMaster)-1]+"5", "worker", "")
	container(t, testMaster[:len(testMaster)-1]+"6", "executor", "") // a child
	var got []box
	for deadline := time.Now().Add(10 * time.Second); len(got) < 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got = obey(t.Context(), order{Do: "boxes", App: testApp}).Boxes
	}
	masters := map[string]bool{}
	for _, b := range got {
		masters[b.ID] = b.Master
	}
	if len(got) != 2 || !masters[testMaster] || masters[testMaster[:len(testMaster)-1]+"5"] {
		t.Fatalf("containers are %+v", got)
	}
	hit := order{Do: "signal", Box: testMaster, Signal: 9}
	if !obey(t.Context(), hit).Hit {
		t.Error("a process that lives is not hit")
	}
	for deadline := time.Now().Add(10 * time.Second); len(obey(t.Context(), order{Do: "boxes", App: testApp}).Boxes) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a process that was killed counts as a container that runs")
		}
	}
	if obey(t.Context(), hit).Hit {
		t.Error("a process that has ended is hit: nobody has waited for it yet")
	}
}

// What is left of an application on a node are its directories, in each place where there may be some.
func TestAgentSeesDirectories(t *testing.T) {
	before := localDirs
	defer func() { localDirs = before }()
	localDirs = []string{t.TempDir(), t.TempDir()}
	other := strings.Replace(testApp, "_0042", "_0043", 1)
	for i, app := range []string{testApp, other} {
		if err := os.MkdirAll(filepath.Join(localDirs[i], "usercache", "alice", "appcache", app, "filecache"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for app, want := range map[string]int{testApp: 1, other: 1, "": 2, "application_1_0001": 0} {
		if got := obey(t.Context(), order{Do: "left", App: app}).Files; len(got) != want {
			t.Errorf("of %q %q are left, want %d", app, got, want)
		}
	}
}

// The next master is killed, not the one that was there, in the phase in which it is seen.
func TestAgentKillsTheNextMaster(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:8030")
	if err != nil {
		t.Skip("somebody has the ResourceManager's port:", err)
	}
	defer listener.Close()
	next := strings.Replace(testMaster, "_02_", "_03_", 1)
	for _, want := range []struct{ phase, speaks string }{{"staging", ""}, {"registering", listener.Addr().String()}} {
		old := container(t, testMaster, "appmaster", listener.Addr().String())
		for deadline := time.Now().Add(10 * time.Second); !speaksToRM(old.Process.Pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a connection to the ResourceManager is not seen")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		done := make(chan answer, 1)
		go func() {
			done <- obey(ctx, order{Do: "first", App: testApp, Old: []string{testMaster}, Phase: want.phase})
		}()
		young := container(t, next, "appmaster", want.speaks)
		got := <-done
		if got.Hit {
			young.Wait() //nolint:errcheck // it was killed; the next round is not to meet it
		}
		if !got.Hit || got.Box != next || got.Phase != want.phase {
			t.Errorf("of the next master %+v is told, want %s", got, want.phase)
		}
		if !lives(old.Process.Pid) {
			t.Error("the master that was there is gone")
		}
		old.Process.Kill() //nolint:errcheck // it is waited for below
		cancel()
	}
}

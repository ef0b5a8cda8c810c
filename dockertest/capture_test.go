//go:build hadoop

package dockertest_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Under privacy nothing that is said to NameNodes, DataNodes and the ResourceManager can be read on the wire, nor what this one
// says to nodes: names of files as little as what is in them, and nothing of an application.
func TestPrivacyOnTheWire(t *testing.T) {
	k := openKerberized(t, "secure")
	wire(t, k.Cluster, k.hdfs(t, k.login(t, "alice"), "alice"), k.rm(t, k.conf, k.login(t, "alice")), false)
}

// Without, all of it can: so the looking works.
func TestNoPrivacyOnTheWire(t *testing.T) {
	c := dockertest.Running(t, "simple")
	rm := yarn.NewClient(yarn.Options{Addresses: []string{c.Addr("rm") + ":8032"}, IPC: ipc.Options{User: "alice"}})
	t.Cleanup(func() { rm.Close() })
	wire(t, c, openHDFS(t, c, "nn"), rm, true)
}

// wire looks for what it says, and fails the test if not all of it can be seen, or if not nothing.
func wire(t *testing.T, c *dockertest.Cluster, fsys hdfs.FS, rm *yarn.Client, clear bool) {
	t.Helper()
	s := sniff(t, c)
	said := map[string]string{}
	say := func(what string) string {
		said[what] = newWord()
		return said[what]
	}
	files := s.during(func() { talk(t, fsys, "/user/alice/"+say("name of a file"), say("what is in it")+" ") })
	apps := s.during(func() { runTelling(t, rm, say("name"), say("command"), say("environment")) })
	seen := map[string]int{}
	for what, word := range said {
		if seen[what] = s.count(word); (seen[what] > 0) != clear {
			t.Errorf("%s is in %d packets of %d; it can be read: want %v", what, seen[what], s.packets(), clear)
		}
	}
	if files < 50 || apps < 50 {
		t.Errorf("%d packets for files, %d for the application", files, apps)
	}
	t.Logf("packets: %d for files, %d for the application, %v with what was said", files, apps, seen)
}

// runTelling has an application run that is one container with one command, which ends at once.
func runTelling(t *testing.T, rm *yarn.Client, name, command, environment string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	app, err := rm.NewApplication(ctx)
	ok(t, err)
	ok(t, rm.Submit(ctx, &pb.ApplicationSubmissionContext{
		ApplicationId: app.ID.PB(), ApplicationName: &name, Queue: proto.String("default"), MaxAppAttempts: proto.Int32(1),
		Resource: yarn.NewResource(128, 1, nil),
		AmContainerSpec: &pb.ContainerLaunchContext{
			Command:     []string{"test \"$TOLD\" = " + environment + " && true " + command},
			Environment: []*pb.StringStringMap{{Key: proto.String("TOLD"), Value: &environment}},
		},
	}))
	t.Cleanup(func() { rm.Kill(context.Background(), app.ID, "the test has ended") })
	for {
		r, err := rm.Report(ctx, app.ID)
		ok(t, err)
		if state := r.GetYarnApplicationState(); state == pb.ApplicationState_FAILED { // it ran, and never registered
			if want := "exitCode: 0"; !strings.Contains(r.GetDiagnostics(), want) {
				t.Fatalf("the command did not run to its end: %s", r.GetDiagnostics())
			}
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the application is %s", r.GetYarnApplicationState())
		}
	}
}

// talk writes a file in each way, reads it and removes it.
func talk(t *testing.T, fsys hdfs.FS, name, text string) {
	t.Helper()
	ctx := t.Context()
	ok(t, fsys.RemoveAll(ctx, name))
	ok(t, fsys.MkdirAll(ctx, name, 0o700))
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), name) })
	data := bytes.Repeat([]byte(text), 20_000)
	_, err := hdfs.Upload(ctx, fsys, name+"/file", bytes.NewReader(data), hdfs.UploadOptions{})
	ok(t, err)
	got, err := hdfs.ReadFile(ctx, fsys, name+"/file", 1<<20)
	ok(t, err)
	if !bytes.Equal(got, data) {
		t.Errorf("read %d bytes that are others than the %d written", len(got), len(data))
	}
	a, err := fsys.Append(ctx, name+"/journal", hdfs.CreateOptions{})
	ok(t, err)
	defer a.Close()
	_, err = a.Write(data)
	ok(t, err)
	ok(t, a.Flush(ctx))
}

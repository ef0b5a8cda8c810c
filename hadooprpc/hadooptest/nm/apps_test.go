package nm

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/logagg"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// When an application ends so do its containers, nothing of it stays on the node, and its logs are where readers look.
func TestApplicationEnds(t *testing.T) {
	remote := t.TempDir()
	b := newBench(t, func(o *Options) { o.RemoteLogDir = "file://" + remote })
	l := command("echo hello > <LOG_DIR>/stdout; exit 0")
	l.ApplicationAcls = []*pb.ApplicationACLMap{{AccessType: pb.ApplicationAccessType_APPACCESS_VIEW_APP.Enum(), Acl: proto.String("bob")}}
	l.LocalResources = []*pb.StringLocalResourceMap{resource(t, "f", put1(t, t.TempDir(), "f", nil))}
	b.runs(cid(1), l)
	b.up(cid(2))
	b.rm.order(tracker.Orders{Ended: []yarn.ApplicationID{testApp}})
	if c := b.ended(cid(2)); c.Exit != yarn.ExitKilledAfterAppCompletion || !strings.Contains(c.Diagnostics, "Container killed on application-finish event") {
		t.Errorf("%+v", c)
	}
	var logs *logagg.Logs
	b.eventually("aggregated logs", func() bool {
		var err error
		c := conf.FromMap(map[string]string{"yarn.nodemanager.remote-app-log-dir": "file://" + remote})
		logs, err = logagg.Open(b.ctx, hdfs.NewLocal(hdfs.LocalOptions{}), c, testApp.String(), "alice")
		return err == nil && len(logs.Pending()) == 0
	})
	got := map[string]string{}
	for f, err := range logs.Files(b.ctx, logagg.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(f)
		got[f.Container+" "+f.Name] = string(text)
		if f.Node != b.ID().String() {
			t.Error(f.Node)
		}
	}
	if got[cid(1).String()+" stdout"] != "hello\n" || !strings.Contains(got[cid(2).String()+" launch_container.sh"], "exec sleep 300") {
		t.Errorf("%q", got)
	}
	b.eventually("end of all directories", func() bool {
		left := 0
		for _, dir := range []string{appCache(b.opt.LocalDirs[0], "alice", testApp), b.appLogs(b.opt.LogDirs[0], testApp), filepath.Join(b.opt.LocalDirs[0], "nmPrivate", testApp.String())} {
			if _, err := os.Stat(dir); err == nil {
				left++
			}
		}
		return left == 0
	})
	err := b.cl.StartContainer(b.ctx, b.ID(), b.nmToken(), b.container(cid(1)), l)
	if err == nil {
		t.Error("a container that ran was started again")
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestWeb(t *testing.T) {
	b := newBench(t)
	id := cid(1)
	b.start(id, command("echo 0123456789 > <LOG_DIR>/stdout; touch up; exec sleep 300"))
	b.running(id, "up")
	at := "http://" + b.HTTP()
	title := fmt.Sprintf("Container: %s on %s", id, b.ID())
	for size, want := range map[string]string{"": "0123456789\n", "?size=4&user.name=alice": "0123", "?size=-4": "789\n", "?size=99": "0123456789\n", "?size=-99": "0123456789\n", "?size=0": ""} {
		code, text := get(t, at+"/ws/v1/node/containers/"+id.String()+"/logs/stdout"+size)
		head, rest, _ := strings.Cut(text, "LogLastModifiedTime:")
		_, rest, _ = strings.Cut(rest, "\n")
		if code != 200 || head != title+"\nLogAggregationType: LOCAL\n"+strings.Repeat("=", len(title))+"\nLogType:stdout\n" ||
			rest != "LogLength:11\nLogContents:\n"+want+"End of LogType:stdout.This log file belongs to a running container ("+id.String()+") and so may not be complete.\n"+strings.Repeat("*", 71)+"\n\n" {
			t.Errorf("%s: %d %q", size, code, text)
		}
	}
	for path, want := range map[string]string{
		"/ws/v1/node/info": `"id":"` + b.ID().String() + `"`, "/ws/v1/node/containers/" + id.String() + "/logs": `"fileName":"stdout"`,
		"/node/containerlogs/" + id.String() + "/alice": `href="alice/stdout"`, "/node/containerlogs/" + id.String() + "/alice/stdout/?start=0": "0123456789",
		"/node/containerlogs/" + id.String() + "/alice/stdout?start=-4": "<pre>789\n</pre>",
	} {
		if code, text := get(t, at+path); code != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	for _, path := range []string{"/ws/v1/node/containers/" + id.String() + "/logs/nothing", "/ws/v1/node/containers/" + id.String() + "/logs/..%2f..%2f..%2fetc%2fpasswd",
		"/ws/v1/node/containers/container_1_0001_01_000001/logs/stdout", "/ws/v1/node/containers/..%2f../logs/stdout"} {
		if code, text := get(t, at+path); code != 404 {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

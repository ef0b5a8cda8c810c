package edgeclient

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
)

func TestSkew(t *testing.T) {
	at := func(s float64) time.Time {
		return time.Unix(1_700_000_000, 0).Add(time.Duration(s * float64(time.Second)))
	}
	for name, x := range map[string]struct {
		before, after, remote float64
		want                  time.Duration
	}{
		"within":                     {10, 12, 11, 0},
		"a second cut off":           {10.9, 11, 10, 0},
		"behind, at the least":       {10, 12, 5, -4 * time.Second},
		"ahead, at the least":        {10, 12, 20, 8 * time.Second},
		"a slow answer tells little": {10, 60, 40, 0},
	} {
		if got := skew(at(x.before), at(x.after), at(x.remote), time.Second); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
	}
}

func TestJudgeSkew(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", 30 * time.Second: "", -30 * time.Second: "",
		31 * time.Second: "warns: this host's clock is 31s behind that of the RM", -time.Hour: "warns: this host's clock is 1h0m0s ahead of that of the RM",
		identity.Backdate + time.Second: "refuses", -identity.Backdate - time.Second: "refuses",
	} {
		got := ""
		err := judgeSkew(d, "RM", func(format string, args ...any) {
			got = strings.Replace(fmt.Sprintf(format, args...), "warning: ", "warns: ", 1)
		})
		if err != nil {
			got = "refuses"
		}
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
		if err != nil && (CodeOf(err) != Refused || !strings.Contains(err.Error(), "timedatectl")) {
			t.Errorf("%s: %v", d, err)
		}
	}
}

func TestMayUse(t *testing.T) {
	may := []pb.QueueACL{pb.QueueACL_QACL_SUBMIT_APPLICATIONS}
	admin := []pb.QueueACL{pb.QueueACL_QACL_ADMINISTER_QUEUE}
	acl := func(name string, acls []pb.QueueACL) *pb.QueueUserACLInfo {
		return &pb.QueueUserACLInfo{QueueName: proto.String(name), UserAcls: acls}
	}
	paths := []*pb.QueueUserACLInfo{acl("root", may), acl("root.etl", nil), acl("root.dev", may), acl("root.dev.a", may), acl("root.ops", admin)}
	names := []*pb.QueueUserACLInfo{acl("root", nil), acl("etl", nil), acl("default", may)}
	for _, x := range []struct {
		acls       []*pb.QueueUserACLInfo
		queue      string
		known, may bool
		others     string
	}{
		{paths, "etl", true, false, "root.dev.a root.ops"},
		{paths, "root.etl", true, false, "root.dev.a root.ops"},
		{paths, "a", true, true, "root.ops"},
		{paths, "ops", true, true, "root.dev.a"},
		{paths, "made-on-demand", false, false, "root.dev.a root.ops"},
		{names, "root.etl", true, false, "default"},
		{names, "default", true, true, ""},
		{nil, "etl", false, false, ""},
	} {
		known, may, others := mayUse(x.acls, x.queue)
		if known != x.known || may != x.may || strings.Join(others, " ") != x.others {
			t.Errorf("%s: %v, %v, %q; want %+v", x.queue, known, may, others, x)
		}
	}
}

func TestCheckScheme(t *testing.T) {
	for def, want := range map[string]string{
		"hdfs://nn": "", "file:///": "", "HDFS://nn": "",
		"viewfs://one/":   `of the scheme "viewfs", a table of mounts (fs.defaultFS, from override); yarnd can put its files into HDFS only. Try -D fs.defaultFS=hdfs://homes or -D fs.defaultFS=hdfs://data or -D fs.defaultFS=hdfs://ha`,
		"s3a://bucket":    `"s3a", Amazon S3`,
		"abfs://c@a.dfs/": `"abfs", Azure`,
		"gs://bucket":     `"gs", Google`,
		"moonfs://x":      `"moonfs" (fs.defaultFS`,
	} {
		c := conf.FromMap(map[string]string{
			"fs.defaultFS": def, "dfs.nameservices": "ha",
			"fs.viewfs.mounttable.one.link./data": "hdfs://data/data", "fs.viewfs.mounttable.one.link./user": "hdfs://homes/user",
			"fs.viewfs.mounttable.one.link./s3": "s3a://b/x", "fs.viewfs.mounttable.two.link./x": "hdfs://other/x",
		})
		err := checkScheme(c)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", def, err)
			}
			continue
		}
		if CodeOf(err) != Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", def, err, want)
		}
	}
}

func TestJudgeTarget(t *testing.T) {
	for want, s := range map[string]hdfs.Storage{
		"is in the encryption zone /user (key k), into which yarnd cannot write. Ask for": {EncryptionZone: "/user", Key: "k"},
		"is erasure-coded (RS-6-3-1024k), and yarnd writes replicated files only. Run hdfs dfs -mkdir -p /user/a/.yarnd && hdfs dfs -chmod 700 /user/a/.yarnd && hdfs ec -setPolicy -replicate -path /user/a/.yarnd": {ErasureCoding: "RS-6-3-1024k"},
	} {
		if err := judgeTarget("/user/a/.yarnd", s); CodeOf(err) != Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if err := judgeTarget("/user/a/.yarnd", hdfs.Storage{}); err != nil {
		t.Error(err)
	}
}

// clusterWith is a ResourceManager with a queue "etl" that is not alice's, and a web
// server whose clock is off.
func clusterWith(t *testing.T, off time.Duration) (*yarnCluster, *[]string) {
	t.Helper()
	rm, err := hadooptest.NewServer(hadooptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rm.Close() })
	hadooptest.Handle(rm, yarn.ClientProtocol, "getQueueInfo", func(_ context.Context, _ *hadooptest.Call, req *pb.GetQueueInfoRequest) (*pb.GetQueueInfoResponse, error) {
		return &pb.GetQueueInfoResponse{QueueInfo: &pb.QueueInfo{QueueName: req.QueueName, State: pb.QueueState_Q_RUNNING.Enum()}}, nil
	})
	hadooptest.Handle(rm, yarn.ClientProtocol, "getQueueUserAcls", func(context.Context, *hadooptest.Call, *pb.GetQueueUserAclsInfoRequest) (*pb.GetQueueUserAclsInfoResponse, error) {
		return &pb.GetQueueUserAclsInfoResponse{QueueUserAcls: []*pb.QueueUserACLInfo{
			{QueueName: proto.String("root.etl")},
			{QueueName: proto.String("root.default"), UserAcls: []pb.QueueACL{pb.QueueACL_QACL_SUBMIT_APPLICATIONS}},
		}}, nil
	})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(web.Close)
	var said []string
	y := &yarnCluster{
		conf: conf.FromMap(map[string]string{"yarn.resourcemanager.hostname": "127.0.0.1", "fs.defaultFS": "hdfs://nn",
			"yarn.resourcemanager.webapp.address": strings.TrimPrefix(web.URL, "http://")}),
		user: "alice", name: "ResourceManager rm:8032",
		opts: Options{CallTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler), Progress: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }},
		rm:   yarn.NewClient(yarn.Options{Addresses: []string{rm.Addr()}, IPC: ipc.Options{User: "alice", CallTimeout: 5 * time.Second}}),
	}
	t.Cleanup(func() { y.Close() })
	return y, &said
}

func TestCheckOnACluster(t *testing.T) {
	largest := Resources{VCores: 8, Memory: 8 << 30}
	check := func(y *yarnCluster, queue string) error {
		return y.Check(t.Context(), Request{Queue: queue}.withDefaults(), largest)
	}
	y, said := clusterWith(t, 0)
	if err := check(y, "default"); err != nil || len(*said) > 0 {
		t.Errorf("all is well: %v, %q", err, *said)
	}
	err := check(y, "etl")
	if CodeOf(err) != Auth || !strings.Contains(err.Error(), `alice may not submit to the queue "etl". Try --queue root.default`) {
		t.Errorf("another's queue: %v", err)
	}
	y, said = clusterWith(t, -5*time.Minute)
	if err := check(y, "default"); err != nil || len(*said) != 1 || !strings.Contains((*said)[0], "ahead of that of the ResourceManager") {
		t.Errorf("a clock five minutes off: %v, %q", err, *said)
	}
	y, _ = clusterWith(t, 25*time.Hour)
	if err := check(y, "default"); CodeOf(err) != Refused || !strings.Contains(err.Error(), "behind that of the ResourceManager") {
		t.Errorf("a clock a day off: %v", err)
	}
}

// Without a web server the application's own start tells the clock, and once is enough.
func TestJudgeStart(t *testing.T) {
	y, said := clusterWith(t, 0)
	now := time.Now()
	if err := y.judgeStart(now, now.Add(time.Second), now.Add(26*time.Hour).UnixMilli()); CodeOf(err) != Refused {
		t.Errorf("a day off: %v", err)
	}
	if err := y.judgeStart(now, now, now.Add(26*time.Hour).UnixMilli()); err != nil || len(*said) > 0 {
		t.Errorf("a second time: %v, %q", err, *said)
	}
}

package nm

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func env(pairs ...string) []*pb.StringStringMap {
	var out []*pb.StringStringMap
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, &pb.StringStringMap{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return out
}

// A container finds the environment, the directories and the tokens that YARN promises, and values pass the shell.
func TestLaunch(t *testing.T) {
	b := newBench(t)
	l := command(`env 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr; echo $PWD; echo {{CONTAINER_ID}} a<CPS>b; cp $HADOOP_TOKEN_FILE_LOCATION <LOG_DIR>/tokens; touch tmp/x`)
	l.Environment = env("B", "<{{A}}> <LOG_DIR>", "A", `two  \"words\"`, "USER", "mallory", "MALLOC_ARENA_MAX", "1", "C", "$B$B")
	creds := &token.Credentials{}
	creds.AddSecret("s", []byte("secret"))
	l.Tokens = creds.Append(nil, token.V1)
	c := b.runs(cid(1), l)
	if c.Exit != yarn.ExitSuccess || c.Resource.MemoryMiB != 64 {
		t.Fatalf("%+v", c)
	}
	got := map[string]string{}
	for line := range strings.Lines(b.log(cid(1), "stdout")) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		got[k] = v
	}
	dir, logs := b.WorkDir("alice", cid(1)), b.LogDir(cid(1))
	inner := `<two  "words"> ` + logs
	for k, want := range map[string]string{
		"CONTAINER_ID": cid(1).String(), "NM_HOST": "127.0.0.1", "USER": "alice", "LOGNAME": "alice", "HOME": "/home/", "PWD": dir,
		"HADOOP_TOKEN_FILE_LOCATION": dir + "/container_tokens", "LOG_DIRS": logs, "LOCAL_DIRS": b.opt.LocalDirs[0] + "/usercache/alice/appcache/" + testApp.String(),
		"A": `two  "words"`, "B": inner, "C": inner + inner, "MALLOC_ARENA_MAX": "4", "NM_HTTP_PORT": strings.Split(b.HTTP(), ":")[1],
	} {
		if got[k] != want {
			t.Errorf("%s is %q, want %q", k, got[k], want)
		}
	}
	if got["LOCALIZATION_COUNTERS"] != "0,0,0,0,0" {
		t.Error(got["LOCALIZATION_COUNTERS"])
	}
	if out := b.log(cid(1), "prelaunch.out"); !strings.HasSuffix(out, "Launching container\n"+dir+"\n"+cid(1).String()+" a:b\n") {
		t.Errorf("prelaunch.out: %q", out)
	}
	if err := b.log(cid(1), "prelaunch.err"); err != "" {
		t.Errorf("prelaunch.err: %q", err)
	}
	for _, name := range []string{"launch_container.sh", "directory.info"} {
		if !strings.Contains(b.log(cid(1), name), "container_tokens") {
			t.Errorf("%s: %s", name, b.log(cid(1), name))
		}
	}
	if read, err := token.Parse([]byte(b.log(cid(1), "tokens"))); err != nil || string(read.Secrets["s"]) != "secret" {
		t.Errorf("%v, %v", read, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("the working directory is left")
	}
}

func TestExits(t *testing.T) {
	b := newBench(t)
	c := b.runs(cid(1), command("echo oops 1>&2 2><LOG_DIR>/stderr >&2; exit 7"))
	if c.Exit != 7 || !strings.Contains(c.Diagnostics, "]Exception from container-launch.\nContainer id: "+cid(1).String()+"\nExit code: 7\n") ||
		!strings.Contains(c.Diagnostics, "Container exited with a non-zero exit code 7. Error file: prelaunch.err.\nLast 4096 bytes of prelaunch.err :\n") {
		t.Errorf("%d %q", c.Exit, c.Diagnostics)
	}
	// What a container leaves in its session ends with it.
	if c := b.runs(cid(2), command("sleep 300 & (sleep 301; true) & exit 0")); c.Exit != 0 {
		t.Errorf("%d %q", c.Exit, c.Diagnostics)
	}
	for i, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV} {
		id := cid(int64(10 + i))
		b.start(id, command("touch up; exec sleep 300"))
		b.running(id, "up")
		if err := b.KillContainer(id, s); err != nil {
			t.Fatal(err)
		}
		if c := b.ended(id); c.Exit != yarn.ExitStatus(128+s) {
			t.Errorf("%v: %d %q", s, c.Exit, c.Diagnostics)
		}
	}
}

func TestStop(t *testing.T) {
	b := newBench(t)
	b.start(cid(1), command("trap 'echo bye > <LOG_DIR>/bye; exit 0' TERM; touch up; while true; do sleep 0.01; done"))
	b.start(cid(2), command("trap '' TERM; touch up; while true; do sleep 0.01; done"))
	for i := range 2 {
		b.running(cid(int64(i+1)), "up")
	}
	if st := b.status(cid(1)); st.GetState() != pb.ContainerState_C_RUNNING || st.GetContainerSubState() != pb.ContainerSubState_CSS_RUNNING || st.GetExitStatus() != -1000 {
		t.Errorf("%v", st)
	}
	res, err := b.cl.StopContainers(b.ctx, b.ID(), b.nmToken(), cid(1), cid(2), cid(3))
	if err != nil || len(res.Succeeded) != 2 || !strings.Contains(res.Failed[cid(3)].Error(), "is not handled by this NodeManager") {
		t.Errorf("%+v, %v", res, err)
	}
	for i := range 2 {
		c := b.ended(cid(int64(i + 1)))
		if c.Exit != yarn.ExitKilledByAppMaster || !strings.Contains(c.Diagnostics, "]Container killed by the ApplicationMaster.\n") {
			t.Errorf("%d %q", c.Exit, c.Diagnostics)
		}
		if i == 1 && !strings.Contains(c.Diagnostics, "Container killed on request. Exit code is 137\n") {
			t.Errorf("%q", c.Diagnostics)
		}
	}
	if b.log(cid(1), "bye") != "bye\n" {
		t.Error("no SIGTERM")
	}
	b.eventually("acknowledgement", func() bool { return len(b.Containers()) == 0 })
	_, bad, err := b.cl.ContainerStatuses(b.ctx, b.ID(), b.nmToken(), cid(1))
	if err != nil || !strings.Contains(bad[cid(1)].Error(), "was recently stopped on node manager") {
		t.Errorf("%v, %v", bad, err)
	}
	if res, err := b.cl.StopContainers(b.ctx, b.ID(), b.nmToken(), cid(1)); err != nil || len(res.Succeeded) != 1 {
		t.Errorf("stopped again: %+v, %v", res, err)
	}
}

func TestSignals(t *testing.T) {
	b := newBench(t)
	b.start(cid(1), command("trap 'echo dump >> <LOG_DIR>/stdout' QUIT; touch up; while true; do sleep 0.01; done"))
	b.running(cid(1), "up")
	signal := func(cmd pb.SignalContainerCommand) {
		if err := b.cl.SignalContainer(b.ctx, b.ID(), b.nmToken(), cid(1), cmd); err != nil {
			t.Fatal(err)
		}
	}
	signal(pb.SignalContainerCommand_OUTPUT_THREAD_DUMP)
	b.eventually("thread dump", func() bool {
		text, _ := os.ReadFile(b.LogDir(cid(1)) + "/stdout")
		return string(text) == "dump\n"
	})
	b.rm.order(tracker.Orders{Signals: []tracker.Signal{{ID: cid(1), Command: pb.SignalContainerCommand_FORCEFUL_SHUTDOWN}}})
	if c := b.ended(cid(1)); c.Exit != 137 || !strings.Contains(c.Diagnostics, "Killed by external signal\n") {
		t.Errorf("%d %q", c.Exit, c.Diagnostics)
	}
	signal(pb.SignalContainerCommand_GRACEFUL_SHUTDOWN) // nobody is there, and Hadoop does not mind
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	try := func(id yarn.ContainerID, l *pb.ContainerLaunchContext, change func(*pb.ContainerTokenIdentifier)) error {
		return b.cl.StartContainer(b.ctx, b.ID(), b.nmToken(), b.container(id, change), l)
	}
	nothing := func(*pb.ContainerTokenIdentifier) {}
	other := yarn.ContainerID{Attempt: yarn.AttemptID{App: yarn.ApplicationID{ClusterTimestamp: 1, ID: 1}, Attempt: 1}, ID: 1}
	b.start(cid(1), command("exec sleep 300"))
	aux := command("true")
	aux.ServiceData = []*pb.StringBytesMap{{Key: proto.String("mapreduce_shuffle"), Value: []byte("x")}}
	noURL := command("true")
	noURL.LocalResources = []*pb.StringLocalResourceMap{{Key: proto.String("f"), Value: &pb.LocalResource{}}}
	for name, tc := range map[string]struct {
		err         error
		class, text string
	}{
		"again":   {try(cid(1), command("true"), nothing), yarnException, "Attempt to relaunch the same container"},
		"expired": {try(cid(2), command("true"), func(x *pb.ContainerTokenIdentifier) { x.ExpiryTimeStamp = proto.Int64(1) }), yarnException, "This token is expired. current time is "},
		"old RM":  {try(cid(2), command("true"), func(x *pb.ContainerTokenIdentifier) { x.RmIdentifier = proto.Int64(1) }), containerException, "allocated by a previous RM"},
		"other":   {try(other, command("true"), nothing), yarnException, "NMToken for application attempt : appattempt_1700000000000_12345_000001 was used for starting container"},
		"aux":     {try(cid(2), aux, nothing), serviceException, "The auxService:mapreduce_shuffle does not exist"},
		"no URL":  {try(cid(2), noURL, nothing), yarnException, "Null resource URL"},
		"user":    {try(cid(2), command("true"), func(x *pb.ContainerTokenIdentifier) { x.AppSubmitter = proto.String("../bob") }), yarnException, "no user name"},
	} {
		var ce *yarn.ContainerError
		if name == "other" {
			continue // its id is another's; see below
		}
		if !errors.As(tc.err, &ce) || ce.Class != tc.class || !strings.Contains(ce.Message, tc.text) {
			t.Errorf("%s: %v", name, tc.err)
		}
	}
	res, err := b.cl.StopContainers(b.ctx, b.ID(), b.nmToken(), other)
	if err != nil || !strings.Contains(res.Failed[other].Error(), "attempted to stop non-application container") {
		t.Errorf("%+v, %v", res, err)
	}
	forged := b.container(cid(2))
	forged.ContainerToken.Password = []byte("forged")
	if err := b.cl.StartContainer(b.ctx, b.ID(), b.nmToken(), forged, command("true")); !yarn.IsInvalidToken(err) {
		t.Errorf("forged: %v", err)
	}
	elsewhere := func(x *pb.ContainerTokenIdentifier) { x.NmHostAddr = proto.String("elsewhere:1") }
	if err := try(cid(2), command("true"), elsewhere); !yarn.IsInvalidToken(err) || !strings.Contains(err.Error(), "is not valid for current Node manager") {
		t.Errorf("elsewhere: %v", err)
	}
	for name, change := range map[string]func(*token.Token){
		"password": func(x *token.Token) { x.Password = []byte("guess") },
		"garbage":  func(x *token.Token) { x.Identifier = []byte("\xff\xff") },
	} {
		cl, tok := yarn.NewNMClient(ipc.Options{}), b.nmToken()
		change(&tok)
		if _, _, err := cl.ContainerStatuses(b.ctx, b.ID(), tok, cid(1)); err == nil {
			t.Errorf("an NMToken with a wrong %s", name)
		}
		cl.Close()
	}
	b.SetFaults(Faults{Refuse: func(yarn.ContainerID) error { return errors.New("not today") }})
	if err := try(cid(3), command("true"), nothing); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("%v", err)
	}
}

// An attempt that has started something keeps its NMToken over rolling keys; a new one needs a new key.
func TestKeysRoll(t *testing.T) {
	b := newBench(t)
	old, late := b.nmToken(), b.nmTokenOf(yarn.AttemptID{App: testApp, Attempt: 2})
	b.start(cid(1), command("exec sleep 300"))
	for range 2 {
		b.rm.mu.Lock()
		b.rm.keys.NM.Roll()
		b.rm.orders.Keys = b.rm.keys
		beats := b.rm.beats
		b.rm.mu.Unlock()
		b.eventually("heartbeats", func() bool { return locked(b.rm, func() bool { return b.rm.beats > beats+1 }) })
	}
	try := func(tok token.Token) error {
		cl := yarn.NewNMClient(ipc.Options{})
		defer cl.Close()
		_, _, err := cl.ContainerStatuses(b.ctx, b.ID(), tok, cid(1))
		return err
	}
	if err := try(old); err != nil {
		t.Errorf("old token of a known attempt: %v", err)
	}
	if err := try(b.nmToken()); err != nil {
		t.Errorf("new token: %v", err)
	}
	if err := try(late); err == nil {
		t.Error("an outdated token of an unknown attempt")
	}
}

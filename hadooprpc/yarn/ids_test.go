package yarn

import (
	"encoding/json"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

var (
	app     = ApplicationID{1410901177871, 1}
	attempt = AttemptID{app, 2}
)

// The printed forms are those of Java's toString: ApplicationId, ApplicationAttemptId, ContainerId.
func TestIDsPrintAndParse(t *testing.T) {
	for _, tc := range []struct {
		id   fmt.Stringer
		text string
	}{
		{app, "application_1410901177871_0001"},
		{ApplicationID{1410901177871, 12345}, "application_1410901177871_12345"},
		{attempt, "appattempt_1410901177871_0001_000002"},
		{ContainerID{attempt, 5}, "container_1410901177871_0001_02_000005"},
		{ContainerID{attempt, 17<<40 | 5}, "container_e17_1410901177871_0001_02_000005"},
		{ContainerID{attempt, 2<<40 | 1234567}, "container_e02_1410901177871_0001_02_1234567"},
		{ContainerID{attempt, 1<<40 - 1}, "container_1410901177871_0001_02_1099511627775"},
		{ContainerID{attempt, 1<<63 - 1}, "container_e8388607_1410901177871_0001_02_1099511627775"},
		{NodeID{"nm1.example.com", 45454}, "nm1.example.com:45454"},
	} {
		if got := tc.id.String(); got != tc.text {
			t.Errorf("%#v prints %s, want %s", tc.id, got, tc.text)
		}
		var back fmt.Stringer
		var err error
		switch tc.id.(type) {
		case ApplicationID:
			back, err = ParseApplicationID(tc.text)
		case AttemptID:
			back, err = ParseAttemptID(tc.text)
		case ContainerID:
			back, err = ParseContainerID(tc.text)
		case NodeID:
			back, err = ParseNodeID(tc.text)
		}
		if err != nil || back != tc.id {
			t.Errorf("%s reads as %#v, %v", tc.text, back, err)
		}
	}
}

func TestIDsRefuse(t *testing.T) {
	for _, s := range []string{"", "application", "application_", "application_1", "application_1_", "application_1_2_3", "application_1_2_",
		"app_1_2", "application_x_1", "application_-1_1", "application_1_2147483648", "application_+1_1", "job_1_1", " application_1_1", "application_1_1\n"} {
		if id, err := ParseApplicationID(s); err == nil {
			t.Errorf("%q reads as %v", s, id)
		}
	}
	for _, s := range []string{"container_1_1_1", "container_e_1_1_1_1", "container_e01_1_1_1", "container_1_1_1_1099511627776", "container_e8388608_1_1_1_1", "container_1_1_1_1_1", "container_f1_1_1_1_1"} {
		if id, err := ParseContainerID(s); err == nil {
			t.Errorf("%q reads as %v", s, id)
		}
	}
	for _, s := range []string{"", "host", ":1", "host:", "host:-1", "host:65536", "host:x"} {
		if id, err := ParseNodeID(s); err == nil {
			t.Errorf("%q reads as %v", s, id)
		}
	}
	if _, err := ParseAttemptID("appattempt_1_1"); err == nil {
		t.Error("short attempt id accepted")
	}
}

func TestIDsAsMessagesAndJSON(t *testing.T) {
	c := ContainerID{attempt, 3<<40 | 7}
	raw, err := proto.Marshal(c.PB())
	if err != nil {
		t.Fatal(err)
	}
	var m pb.ContainerId
	if err := proto.Unmarshal(raw, &m); err != nil || ContainerIDFromPB(&m) != c {
		t.Errorf("%v, %v", &m, err)
	}
	if c.Epoch() != 3 || c.Number() != 7 {
		t.Errorf("epoch %d, number %d", c.Epoch(), c.Number())
	}
	if n := (NodeID{"h", 1}); NodeIDFromPB(n.PB()) != n || AttemptIDFromPB(attempt.PB()) != attempt || ApplicationIDFromPB(app.PB()) != app {
		t.Error("messages do not come back")
	}
	if ContainerIDFromPB(nil) != (ContainerID{}) || NodeIDFromPB(nil) != (NodeID{}) {
		t.Error("nil is not the zero id")
	}
	type all struct {
		A  ApplicationID
		T  AttemptID
		N  NodeID
		By map[ContainerID]int
	}
	in := all{app, attempt, NodeID{"h", 1}, map[ContainerID]int{c: 1}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out all
	if err := json.Unmarshal(b, &out); err != nil || out.A != in.A || out.T != in.T || out.N != in.N || out.By[c] != 1 {
		t.Errorf("%s: %v", b, err)
	}
}

func TestIDsCompare(t *testing.T) {
	ids := []ContainerID{
		{AttemptID{ApplicationID{1, 9}, 9}, 9}, {AttemptID{ApplicationID{2, 1}, 1}, 2}, {AttemptID{ApplicationID{2, 1}, 1}, 1<<40 | 1},
		{AttemptID{ApplicationID{2, 1}, 2}, 1}, {AttemptID{ApplicationID{2, 2}, 1}, 1},
	}
	for i, a := range ids {
		for j, b := range ids {
			if got := a.Compare(b); got != min(max(i-j, -1), 1) {
				t.Errorf("%v compared with %v: %d", a, b, got)
			}
		}
	}
}

// FuzzParseIDs holds every id that reads to what it prints.
func FuzzParseIDs(f *testing.F) {
	f.Add("container_e17_1410901177871_0001_02_000005")
	f.Add("container_1_1_1_1")
	f.Add("application_1_1")
	f.Add("appattempt_1410901177871_0001_000002")
	f.Add("nm1.example.com:45454")
	f.Fuzz(func(t *testing.T, s string) {
		readsBack(t, s, ParseContainerID)
		readsBack(t, s, ParseApplicationID)
		readsBack(t, s, ParseAttemptID)
		readsBack(t, s, ParseNodeID)
	})
}

func readsBack[ID interface {
	comparable
	fmt.Stringer
}](t *testing.T, s string, parse func(string) (ID, error)) {
	id, err := parse(s)
	if err != nil {
		return
	}
	if again, err := parse(id.String()); err != nil || again != id {
		t.Errorf("%q reads as %v, which reads as %v (%v)", s, id, again, err)
	}
}

package appmaster

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/identity"
)

// served are the methods that an application master serves, as the server itself tells, and which of them are streams.
func served(t *testing.T) (streams map[string]bool) {
	t.Helper()
	w := prepare(t, 0)
	l, err := newLoop(Options{Spec: w.spec, Seed: w.seed, Provider: noProvider{}, Attempt: 1, Node: "here"})
	if err != nil {
		t.Fatal(err)
	}
	s := l.newServer()
	defer s.Stop()
	streams = map[string]bool{}
	for service, info := range s.GetServiceInfo() {
		for _, m := range info.Methods {
			streams["/"+service+"/"+m.Name] = m.IsClientStream || m.IsServerStream
		}
	}
	return streams
}

// Each method that is served is tried by each role, over the wire: this table, which a method that is new fails until it is in
// it, says who gets in. What a role that may call it is answered to an empty message does not matter here, but that it is no
// refusal for who calls.
func TestRoles(t *testing.T) {
	const (
		c, o, v, s, w, a = identity.Client, identity.Operator, identity.Viewer, identity.Scheduler, identity.Worker, identity.AppMaster
	)
	type roles = []identity.Role
	table := map[string]roles{
		"/yarnd.appmaster.Session/Info":      {c, o, v},
		"/yarnd.appmaster.Session/Watch":     {c, o, v},
		"/yarnd.appmaster.Session/Events":    {c, o, v},
		"/yarnd.appmaster.Session/Logs":      {c, o, v},
		"/yarnd.appmaster.Session/Scale":     {c, o},
		"/yarnd.appmaster.Session/Adapt":     {c, o},
		"/yarnd.appmaster.Session/Stop":      {c, o},
		"/yarnd.appmaster.Session/Kill":      {c, o},
		"/yarnd.appmaster.Session/Retire":    {c, o},
		"/yarnd.appmaster.Session/Delegate":  {c},
		"/yarnd.appmaster.Session/Tokens":    {c},
		"/yarnd.appmaster.Control/Attach":    {s},
		"/yarnd.appmaster.Members/Scheduler": {s, w},
		"/yarnd.appmaster.Members/Renew":     {s, w},
		"/yarnd.appmaster.Members/Tokens":    {s, w},
	}
	methods := served(t)
	for m := range methods {
		if _, ok := table[m]; !ok {
			t.Errorf("%s is served, and the table does not say to whom", m)
		}
	}
	for m := range table {
		if _, ok := methods[m]; !ok {
			t.Errorf("%s is not served", m)
		}
	}
	world := prepare(t, 1)
	world.begin()
	info := world.until("a worker", running(1))
	names := map[identity.Role]string{c: "alice", o: "bob", v: "carol", a: "am",
		s: containers(info, "scheduler")[0].Id, w: containers(info, "worker")[0].Id}
	address := world.address()
	for _, role := range []identity.Role{c, o, v, s, w, a} {
		call := world.caller(address, world.identity(role, names[role]))
		for m, stream := range methods {
			code, err := call(m, stream)
			if refused := code == codes.PermissionDenied || role == a && code == codes.Unavailable; refused == slices.Contains(table[m], role) {
				t.Errorf("%s calls %s: %v", role, m, err)
			}
		}
	}
	// What is the owner's alone, another client may not.
	call := world.caller(address, world.identity(c, "ann"))
	for _, m := range []string{"/yarnd.appmaster.Session/Delegate", "/yarnd.appmaster.Session/Tokens"} {
		if code, err := call(m, methods[m]); code != codes.PermissionDenied {
			t.Errorf("another client calls %s: %v", m, err)
		}
	}
}

// garbage is a codec, known to both sides by its name, whose messages cannot be decoded, and that counts who tries.
type garbage struct{ decoded *atomic.Int64 }

var garbled = garbage{new(atomic.Int64)}

func init() { encoding.RegisterCodecV2(garbled) }

func (garbage) Name() string { return "garbage" }

func (garbage) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer("\xff\xff no message \xff")}, nil
}

func (g garbage) Unmarshal(mem.BufferSlice, any) error {
	g.decoded.Add(1)
	return errors.New("that is no message")
}

// Who may not call a method is refused before anything of his message is decoded; who may is not.
func TestRefusedBeforeDecoding(t *testing.T) {
	world := prepare(t, 1)
	world.begin()
	info := world.until("a worker", running(1))
	who := []identity.Subject{
		{Role: identity.Client, Name: "alice"}, {Role: identity.Client, Name: "ann"}, {Role: identity.Operator, Name: "svc"}, {Role: identity.Viewer, Name: "bob"},
		{Role: identity.Scheduler, Name: containers(info, "scheduler")[0].Id}, {Role: identity.Worker, Name: containers(info, "worker")[0].Id},
	}
	address := world.address()
	methods := served(t)
	may, mayNot := 0, 0
	for _, s := range who {
		call := world.caller(address, world.identity(s.Role, s.Name), grpc.ForceCodecV2(garbled))
		for m, stream := range methods {
			before := garbled.decoded.Load()
			code, err := call(m, stream)
			decoded := garbled.decoded.Load() - before
			if callers[m].includes(s, "alice") {
				may++
				if code != codes.Internal || decoded != 1 {
					t.Errorf("%s %s calls %s: %v, and %d messages were decoded; one that is good would not be", s.Role, s.Name, m, err, decoded)
				}
				continue
			}
			mayNot++
			if code != codes.PermissionDenied || decoded != 0 {
				t.Errorf("%s %s may not call %s: %v, and %d messages were decoded", s.Role, s.Name, m, err, decoded)
			}
		}
	}
	if may == 0 || mayNot < len(methods) {
		t.Errorf("%d calls were by who may, %d by who may not", may, mayNot)
	}
}

// caller calls methods as somebody, with a message that nobody can do anything by, and tells how that ended.
func (w *world) caller(address string, id *identity.Identity, opts ...grpc.CallOption) func(method string, stream bool) (codes.Code, error) {
	w.Helper()
	cfg := id.Client(identity.AppMaster, "")
	cfg.NextProtos = []string{"h2"}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(cfg)), grpc.WithDefaultCallOptions(opts...))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	return func(method string, stream bool) (codes.Code, error) {
		ctx, cancel := context.WithTimeout(w.Context(), 2*time.Second)
		defer cancel()
		if !stream {
			var message proto.Message = &emptypb.Empty{}
			if method == ampb.Session_Stop_FullMethodName { // an empty one ends the application
				message = &ampb.StopRequest{Status: "no status"}
			}
			err := conn.Invoke(ctx, method, message, &emptypb.Empty{})
			return status.Code(err), err
		}
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		if err == nil {
			err = s.SendMsg(&emptypb.Empty{})
		}
		if err == nil || err == io.EOF { // its answer says why
			err = s.RecvMsg(&emptypb.Empty{})
		}
		if err == io.EOF {
			err = nil
		}
		return status.Code(err), err
	}
}

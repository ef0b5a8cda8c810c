package server

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// works reports whether the scheduler still serves others.
func (c *cluster) works() {
	c.t.Helper()
	cl := c.client("witness", "")
	cl.call(&wire.Request{Body: &wire.Request_ListWorkers{ListWorkers: &wire.ListWorkers{}}})
}

// closed waits for the peer to close a raw connection and returns what it said
// before.
func closed(t *testing.T, nc net.Conn) []byte {
	t.Helper()
	nc.SetReadDeadline(time.Now().Add(patience))
	said, err := io.ReadAll(nc)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Fatal("the connection stays open")
	}
	return said
}

func appendFrame(t *testing.T, dst []byte, k wire.Kind, m proto.Message) []byte {
	t.Helper()
	dst, err := wire.AppendFrame(dst, k, m)
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestStrangersAreRefused(t *testing.T) {
	c := start(t, Options{})
	other, err := identity.NewCA(identity.NewSeed(), "local_1_0002")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.NewIdentity(identity.Subject{App: other.App(), Role: identity.Worker, Name: "w"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	otherSeed, err := identity.NewCA(identity.NewSeed(), c.ca.App())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := otherSeed.NewIdentity(identity.Subject{App: c.ca.App(), Role: identity.Worker, Name: "w"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	anyone := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	withCert := func(id *identity.Identity) *tls.Config {
		own := id.Client(identity.Scheduler, "")
		own.VerifyConnection = nil // this side would refuse the scheduler first
		return own
	}
	old := c.tls(identity.Worker, "w")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, config := range map[string]*tls.Config{
		"no certificate":             anyone,
		"another application":        withCert(foreign),
		"another seed, our name":     withCert(forged),
		"an application master":      c.tls(identity.AppMaster, "am"),
		"another scheduler":          c.tls(identity.Scheduler, "c9"),
		"an operator":                c.tls(identity.Operator, "svc"),
		"a viewer":                   c.tls(identity.Viewer, "bob"),
		"TLS 1.2":                    old,
		"no ALPN (refused later on)": nil,
	} {
		t.Run(name, func(t *testing.T) {
			alpn := []string{wire.Protocol}
			if config == nil {
				config, alpn = c.tls(identity.Worker, "w"), nil
			}
			nc, err := c.raw(config, alpn...)
			if err != nil {
				return
			}
			// Nothing that it says may be looked at, least of all answered.
			nc.Write(appendFrame(t, nil, wire.KindHello, helloOf("w", 1)))
			if said := closed(t, nc); len(said) > 0 {
				t.Errorf("was answered %q", said)
			}
		})
	}
	if nc, err := c.raw(c.tls(identity.Worker, "w"), "http/1.1"); err == nil {
		t.Errorf("wrong ALPN was accepted as %q", nc.ConnectionState().NegotiatedProtocol)
	}
	if nc, err := net.Dial("tcp", c.srv.Addr().String()); err != nil {
		t.Error(err)
	} else {
		nc.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		if said := closed(t, nc); strings.Contains(string(said), "HTTP/1.1 2") {
			t.Errorf("plain text was answered %q", said)
		}
		nc.Close()
	}
	c.works()
}

func TestHelloMustFitTheCertificate(t *testing.T) {
	c := start(t, Options{})
	asClient := clientHello("alice", "")
	noAddress := helloOf("w", 1)
	noAddress.GetWorker().DataAddress = "nowhere"
	for name, try := range map[string]struct {
		role  identity.Role
		hello *wire.Hello
		code  wire.Code
	}{
		"a worker under another name": {identity.Worker, helloOf("v", 1), wire.Refused},
		"a worker as client":          {identity.Worker, asClient, wire.Refused},
		"a client as worker":          {identity.Client, helloOf("w", 1), wire.Refused},
		"a worker without slots":      {identity.Worker, helloOf("w", 0), wire.Invalid},
		"a worker without address":    {identity.Worker, noAddress, wire.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := c.dial(try.role, "w", try.hello)
			if err == nil {
				p.conn.Close()
			}
			if !errors.Is(err, try.code) {
				t.Errorf("got %v, want %v", err, try.code)
			}
		})
	}
	c.works()
}

func TestMaliciousFrames(t *testing.T) {
	c := start(t, Options{})
	hello := appendFrame(t, nil, wire.KindHello, helloOf("w", 1))
	joined := appendFrame(t, hello, wire.KindInventory, &wire.Held{})
	client := appendFrame(t, nil, wire.KindHello, clientHello("w", ""))
	twoGiB := []byte{0x80, 0, 0, 0, byte(wire.KindInventory), 1, 2, 3}
	garbage := []byte("\x00\x00\x00\x20\x1f garbage that is no protobuf at all ")
	const greeted = true
	then := func(dst []byte, k wire.Kind, m proto.Message) []byte { return appendFrame(t, slices.Clip(dst), k, m) }
	for name, try := range map[string]struct {
		role    identity.Role
		greeted bool // gets its Welcome before it goes wrong
		stream  []byte
	}{
		"garbage":                    {identity.Worker, !greeted, garbage},
		"2 GiB before hello":         {identity.Worker, !greeted, twoGiB},
		"65 KiB before hello":        {identity.Worker, !greeted, []byte{0, 1, 4, 0, byte(wire.KindHello)}},
		"length 0":                   {identity.Worker, !greeted, []byte{0, 0, 0, 0, 0}},
		"frames before hello":        {identity.Worker, !greeted, then(nil, wire.KindStarted, &wire.Tasks{})},
		"frames before inventory":    {identity.Worker, greeted, then(hello, wire.KindStarted, &wire.Tasks{})},
		"hello twice":                {identity.Worker, greeted, slices.Concat(joined, hello)},
		"inventory twice":            {identity.Worker, greeted, then(joined, wire.KindInventory, &wire.Held{})},
		"2 GiB after joining":        {identity.Worker, greeted, slices.Concat(joined, twoGiB)},
		"garbage after joining":      {identity.Worker, greeted, slices.Concat(joined, garbage)},
		"a request from a worker":    {identity.Worker, greeted, then(joined, wire.KindRequest, &wire.Request{})},
		"columns that do not agree":  {identity.Worker, greeted, then(joined, wire.KindStarted, &wire.Tasks{Job: []uint32{1}})},
		"a worker's frame, a client": {identity.Client, greeted, then(client, wire.KindDone, &wire.Done{})},
		"2 GiB from a client":        {identity.Client, greeted, slices.Concat(client, twoGiB)},
		"hello twice, a client":      {identity.Client, greeted, slices.Concat(client, client)},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := c.raw(c.tls(try.role, "w"), wire.Protocol)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Write(try.stream); err != nil {
				t.Fatal(err)
			}
			k, body, err := wire.NewReader(bytes.NewReader(closed(t, nc)), wire.MaxFrame).Next()
			var w *wire.Welcome
			if err == nil {
				m, _ := wire.Unmarshal(k, body)
				w, _ = m.(*wire.Welcome)
			}
			if got := w != nil && w.Code == 0; got != try.greeted {
				t.Errorf("welcome %v", w)
			}
		})
	}
	eventually(t, "they have all left", func() bool {
		return len(c.client("witness", "").call(&wire.Request{Body: &wire.Request_ListWorkers{ListWorkers: &wire.ListWorkers{}}}).GetWorkers().Worker) == 0
	})
}

// Frames that are announced and do not come cost no memory worth speaking of.
func TestAnnouncedFramesAreCheap(t *testing.T) {
	c := start(t, Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const peers = 8
	for range peers {
		nc, err := c.raw(c.tls(identity.Client, "u"), wire.Protocol)
		if err != nil {
			t.Fatal(err)
		}
		stream := appendFrame(t, nil, wire.KindHello, clientHello("u", ""))
		stream = binary.BigEndian.AppendUint32(stream, wire.MaxFrame)
		nc.Write(append(stream, byte(wire.KindRequest), 1, 2, 3))
		if k, _, err := wire.NewReader(nc, wire.MaxFrame).Next(); err != nil || k != wire.KindWelcome {
			t.Fatalf("%v %v", k, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+peers<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, after.HeapAlloc)
	}
	c.works()
}

// Who connects and says nothing, or too little, is gone after the opening's time.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	silent, err := net.Dial("tcp", c.srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	drip, err := c.raw(c.tls(identity.Worker, "w"), wire.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a byte now and then does not extend it
		hello := appendFrame(t, nil, wire.KindHello, helloOf("w", 1))
		for _, b := range hello[:len(hello)-1] {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				drip.Write([]byte{b})
			}
		}
	}()
	closed(t, silent)
	closed(t, drip)
	if took := time.Since(began); took > wire.OpenTimeout+3*time.Second {
		t.Errorf("it took %v", took)
	}
	c.works()
}

// Both protocols share the listener.
func TestDataPlaneIsThere(t *testing.T) {
	c := start(t, Options{})
	nc, err := c.raw(c.tls(identity.Client, "u"), transfer.Protocol)
	if err != nil || nc.ConnectionState().NegotiatedProtocol != transfer.Protocol {
		t.Fatalf("%v", err)
	}
	nc.Write([]byte{77})
	if said := closed(t, nc); len(said) == 0 {
		t.Error("a request that is none was not answered")
	}
}

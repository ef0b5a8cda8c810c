package server

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// mailbag is a link that notes when what was put on it left. It is a turn's.
type mailbag struct {
	put  int
	left []time.Duration // of each message, since start
	at   time.Time
}

func (m *mailbag) Put(wire.Kind, proto.Message) error { m.put++; return nil }
func (m *mailbag) Room() bool                         { return true }
func (m *mailbag) Close() error                       { return nil }

func (m *mailbag) Depart() {
	for len(m.left) < m.put {
		m.left = append(m.left, time.Since(m.at))
	}
}

// The acknowledgement of a submission waits for something to travel with, and not for long.
func TestAcknowledgement(t *testing.T) {
	list := &wire.Request{Body: &wire.Request_ListJobs{ListJobs: &wire.ListJobs{}}}
	for name, k := range map[string]struct {
		then *wire.Request // half a millisecond later; nil: nothing
		want []time.Duration
	}{
		"alone":          {nil, []time.Duration{ackLag}},
		"a second one":   {submit(batch(1, 1, 1)), []time.Duration{ackLag / 4, ackLag / 4}},
		"another answer": {list, []time.Duration{ackLag / 4, ackLag / 4}},
		"an error":       {submit(batch(1, 7, 1)), []time.Duration{ackLag / 4, ackLag / 4}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLoop(Options{Log: slog.New(slog.DiscardHandler)}, nil)
				go l.run()
				m := &mailbag{}
				ask := func(r *wire.Request) {
					in := request{conn: m, req: r}
					if err := in.prepare(); err != nil {
						t.Fatal(err)
					}
					l.send(in)
				}
				l.send(does(func(l *loop) { l.clients[m] = newSession(1, "alice") }))
				ask(openJob("j"))
				ask(classes(1, &graph.Class{Name: "f", Kind: graph.KindGo}))
				synctest.Wait()
				l.send(does(func(*loop) { m.put, m.left, m.at = 0, nil, time.Now() }))
				ask(submit(batch(1, 0, 1)))
				if time.Sleep(ackLag / 4); k.then != nil {
					ask(k.then)
				}
				time.Sleep(4 * ackLag)
				close(l.stop)
				<-l.done
				if len(m.left) != len(k.want) {
					t.Fatalf("%v left", m.left)
				}
				for i, d := range k.want {
					if m.left[i] != d {
						t.Errorf("%v, want %v", m.left, k.want)
						break
					}
				}
			})
		})
	}
}

package server

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

func publishing(name string, job, index uint32, remove bool) *wire.Request {
	return &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{Name: name, Job: job, Index: index, Remove: remove}}}
}

// A name that was taken back is not taken from whoever has it by now when the request comes again, be it to another
// scheduler, which knows it from a snapshot or from the records.
func TestUnpublishAgain(t *testing.T) {
	for growth, what := range map[int64]string{1: "from a snapshot", 1 << 30: "from the records"} {
		t.Run(what, func(t *testing.T) {
			dir := memstore.New(1, false)
			c := start(t, Options{Journal: dir.Process(nil), JournalGrowth: growth})
			alice, bob := c.client("alice", ""), c.client("bob", "")
			job := alice.newJob("j")
			alice.tasks(job, 0, 2)
			alice.call(publishing("x", job, 0, false))
			alice.call(publishing("x", 0, 0, true))
			again := alice.lastID.Load()
			bob.call(publishing("x", job, 1, false))
			repeat := func(cl *client) {
				t.Helper()
				cl.lastID.Store(again - 1)
				cl.call(publishing("x", 0, 0, true))
				if n := cl.call(&wire.Request{Body: &wire.Request_Lookup{Lookup: &wire.Lookup{Name: "x"}}}).GetName(); n.GetIndex() != 1 {
					t.Errorf("the name is %v", n)
				}
			}
			repeat(alice)
			if growth == 1 {
				eventually(t, "a snapshot", func() bool {
					alice.newJob("")
					return c.srv.loop.ledger.journal.Size() > 0
				})
			}
			for _, cl := range []*client{alice, bob} { // without a goodbye
				cl.conn.Close()
			}
			if err := c.srv.Close(); err != nil {
				t.Fatal(err)
			}
			c = start(t, Options{Journal: dir.Process(nil), Epoch: 2})
			back := c.client("alice", alice.welcome.Session)
			if back.welcome.Session != alice.welcome.Session {
				t.Fatal("the session is not resumed")
			}
			repeat(back)
			back.call(publishing("x", 0, 0, true)) // a new one
			back.refused(publishing("x", 0, 0, true), wire.NotFound)
		})
	}
}

// A session remembers its last removals, and no more.
func TestRemovedBound(t *testing.T) {
	s := newSession(graph.ClientID(1), "alice")
	for id := range uint64(3 * maxRemoved) {
		s.keepRemoved(id)
	}
	if len(s.removed) != maxRemoved || s.removed[maxRemoved-1] != 3*maxRemoved-1 {
		t.Errorf("%v", s.removed)
	}
}

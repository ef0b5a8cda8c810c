package server

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

// A turn's share of a snapshot counts bytes, too: few tasks with large payloads are not all written in one turn.
func TestSnapshotSharesCountBytes(t *testing.T) {
	dir := memstore.New(1, false)
	j, err := journal.Open(context.Background(), journal.Options{Store: dir.Process(nil), Epoch: 1})
	if err == nil {
		err = j.Replay(context.Background(), func([]byte) error { return nil })
	}
	if err == nil {
		err = j.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	const tasks, payload = 24, 1 << 20
	records := sampleRecords()[:3]
	for i := range uint32(tasks) {
		records = append(records, &wire.Record{Client: 1, Body: &wire.Record_Submit{Submit: &wire.Submit{
			Job: 1, First: i, Class: []uint32{0}, PayEnd: []uint32{payload}, Payload: make([]byte, payload),
		}}})
	}
	for _, r := range records {
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		j.Append(b)
	}
	j.Commit()
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	l := takeOverFor(t, dir.Process(nil), 2)
	most, last, turns := 0, 0, 0
	for end := time.Now().Add(patience); l.ledger.journal.Size() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("there is no snapshot")
		}
		l.now = time.Now()
		l.settleLedger()
		if s := l.snap; s != nil && s.bytes > last {
			most, last = max(most, s.bytes-last), s.bytes
			turns++
		}
	}
	if err := l.closeJournal(); err != nil {
		t.Fatal(err)
	}
	if share := snapshotRows * snapshotRowBytes; most > share+2*payload || turns < tasks*payload/(share+2*payload) {
		t.Errorf("%d bytes in one turn of %d", most, turns)
	}
}

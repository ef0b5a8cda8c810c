package appmaster

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/local"
	"github.com/yarnd/yarnd/identity"
)

// cutOff is a provider whose cluster can fall silent.
type cutOff struct {
	provider.Provider
	silent atomic.Bool
}

func (c *cutOff) Trusted() time.Time {
	if c.silent.Load() {
		return time.Now().Add(-time.Second)
	}
	return time.Now().Add(time.Minute)
}

// An application master that the cluster may have given up serves nobody: what is open is
// closed, nobody is let in, and no word of a person's is taken. What runs goes on running,
// and when the cluster answers all is as before.
func TestFenced(t *testing.T) {
	w := prepare(t, 2)
	p, err := local.New(local.Options{App: w.spec.ID, Dir: w.dir, Grace: 5 * time.Second, Log: w.opt.Log})
	if err != nil {
		t.Fatal(err)
	}
	cut := &cutOff{Provider: p}
	w.opt.Provider = cut
	w.begin()
	before := w.until("2 workers", running(2))

	ended := make(chan error, 1)
	watching := make(chan struct{})
	go func() {
		first := true
		for _, err := range w.client.Watch(t.Context()) {
			if first {
				first = false
				close(watching)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	<-watching
	cut.silent.Store(true)
	select {
	case err := <-ended:
		if e := err.(*amclient.Error); !e.Unreachable() {
			t.Errorf("the stream ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a stream is served still")
	}
	stranger, err := amclient.Dial(w.identity(identity.Client, "alice"), amclient.Options{Locate: w.locate, CallTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	if reply, err := stranger.Scale(t.Context(), "", 5); err == nil {
		t.Errorf("it scaled: %v", reply)
	}

	cut.silent.Store(false)
	after := w.until("all as before", func(i *ampb.Info) bool { return running(2)(i) && i.Report.GetWorkers() > 0 })
	ids := func(i *ampb.Info) (list []string) {
		for _, c := range i.Containers {
			list = append(list, c.Id)
		}
		return list
	}
	if !slices.Equal(ids(before), ids(after)) || pool(after, "worker").Wanted != 2 {
		t.Errorf("%v became %v", before, after)
	}
	reply, err := w.client.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range reply.Events {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Contains(kinds, "app.fenced") || !slices.Contains(kinds, "app.unfenced") {
		t.Errorf("events %v", kinds)
	}
}

// A call that was let in before is not answered any more either, when it could not be
// saved in time.
func TestFencedInTheMiddle(t *testing.T) {
	cut := &cutOff{}
	k := newKeeper(nil, nil)
	k.saved = 7
	l := &loop{prov: cut, keep: k}
	if err := l.kept(context.Background(), 7); err != nil {
		t.Error(err)
	}
	cut.silent.Store(true)
	if err := l.kept(context.Background(), 7); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

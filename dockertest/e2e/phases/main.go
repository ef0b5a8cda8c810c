// Command phases submits an application and prints, as JSON, how long after a moment
// each phase of its start ended, in milliseconds. It then ends the application.
//
//	phases -since NANOSECONDS -workers N
//
// The moment is that at which somebody started this program, as date +%s%N tells it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

// Phases are milliseconds since the program was started.
type Phases struct{ ID, Registered, Scheduler, First, Workers float64 }

func main() {
	yarnd.Main(func(ctx context.Context) error {
		since := flag.Int64("since", time.Now().UnixNano(), "when this began, in ns since 1970")
		workers := flag.Int("workers", 4, "workers")
		flag.Parse()
		p, err := run(ctx, time.Unix(0, *since), *workers)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(p)
	})
}

func run(ctx context.Context, began time.Time, workers int) (p Phases, err error) {
	passed := func() float64 { return float64(time.Since(began).Microseconds()) / 1000 }
	edge, err := edgeclient.Open(ctx, edgeclient.Options{VmSize: yarnd.AddressSpace})
	if err != nil {
		return p, err
	}
	defer edge.Close()
	r, err := edge.Submit(ctx, edgeclient.Request{Workers: workers, Worker: edgeclient.Resources{Memory: 256 << 20}, Name: "phases", Wait: edgeclient.WaitNone})
	if err != nil {
		return p, err
	}
	defer edge.Kill(context.WithoutCancel(ctx), r, "measured")
	p.ID = passed()
	for r.Endpoint == "" {
		time.Sleep(10 * time.Millisecond)
		if r, err = edge.Report(ctx, r.ID); err != nil {
			return p, err
		}
		if r.State.Ended() {
			return p, edgeclient.Ended(r)
		}
	}
	p.Registered = passed()
	cluster, err := yarnd.Attach(ctx, edge, r, false)
	if err != nil {
		return p, err
	}
	defer cluster.Close()
	p.Scheduler = passed()
	if _, err := yarnd.Command([]string{"true"}).Call(ctx, cluster.Client, "{}"); err != nil {
		return p, err
	}
	p.First = passed()
	err = cluster.WaitWorkers(ctx, workers)
	p.Workers = passed()
	return p, err
}

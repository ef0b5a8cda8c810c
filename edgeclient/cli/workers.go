package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

func (c *command) workers() *cobra.Command {
	return &cobra.Command{
		Use:   "workers APP",
		Short: "List the workers that have joined an application, and what they do",
		Args:  appArg(1, "one application"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withCluster(cmd.Context(), args[0], func(cluster *yarnd.Cluster) error {
				workers, err := cluster.Workers(cmd.Context())
				if err != nil {
					return err
				}
				return workerList(workers).write(c.Out, c.output)
			})
		},
	}
}

// workerRow is the JSON form of a worker.
type workerRow struct {
	Container  string    `json:"container"`
	Host       string    `json:"host"`
	Pool       string    `json:"pool"`
	State      string    `json:"state"`
	Slots      int       `json:"slots"`
	Running    int       `json:"running"`
	Queued     int       `json:"queued"`
	Done       uint64    `json:"done"`
	RSS        uint64    `json:"rss"`        // bytes, of worker and executors
	MemoryUsed uint64    `json:"memoryUsed"` // bytes, by results
	Address    string    `json:"address"`
	PID        int       `json:"pid"`
	Joined     time.Time `json:"joined"`
}

func workerList(workers []engine.WorkerInfo) listing[workerRow] {
	l := listing[workerRow]{kind: "WorkerList", name: func(w workerRow) string { return w.Container }}
	for _, w := range workers {
		l.items = append(l.items, workerRow{w.Name, w.Host, w.Pool, w.State, w.Slots, w.Running, w.Queued, w.Done, w.RSS, w.MemoryUsed, w.Address, w.PID, w.Joined.UTC()})
	}
	n := strconv.Itoa
	l.columns = []column[workerRow]{
		{title: "WORKER", value: func(w workerRow) string { return w.Container }},
		{title: "HOST", value: func(w workerRow) string { return w.Host }},
		{title: "STATE", value: func(w workerRow) string { return w.State }},
		{title: "SLOTS", value: func(w workerRow) string { return n(w.Slots) }},
		{title: "RUNNING", value: func(w workerRow) string { return n(w.Running) }},
		{title: "DONE", value: func(w workerRow) string { return strconv.FormatUint(w.Done, 10) }},
		{title: "RSS", value: func(w workerRow) string { return edgeclient.FormatBytes(int64(w.RSS)) }},
		{title: "AGE", value: func(w workerRow) string { return ago(w.Joined) }},
		{title: "POOL", wide: true, value: func(w workerRow) string { return w.Pool }},
		{title: "QUEUED", wide: true, value: func(w workerRow) string { return n(w.Queued) }},
		{title: "RESULTS", wide: true, value: func(w workerRow) string { return edgeclient.FormatBytes(int64(w.MemoryUsed)) }},
		{title: "ADDRESS", wide: true, value: func(w workerRow) string { return w.Address }},
		{title: "PID", wide: true, value: func(w workerRow) string { return n(w.PID) }},
	}
	return l
}

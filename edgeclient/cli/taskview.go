package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
)

// taskRow is the JSON form of a task in a list.
type taskRow struct {
	ID      string     `json:"id"`
	Job     string     `json:"job,omitempty"` // its name
	State   string     `json:"state"`
	What    string     `json:"what"` // function or command
	Attempt int        `json:"attempt"`
	Worker  string     `json:"worker,omitempty"` // container, while it lives
	Host    string     `json:"host,omitempty"`
	Started *time.Time `json:"started,omitempty"` // the last attempt
	Ended   *time.Time `json:"ended,omitempty"`
}

func newTaskRow(t client.TaskRow, job, worker, host string) taskRow {
	return taskRow{ID: t.Task.String(), Job: job, State: t.State, What: t.Class, Attempt: int(t.Attempt), Worker: worker, Host: host,
		Started: when(t.Started), Ended: when(t.Ended)}
}

// when makes a moment fit for JSON: absent when it is none.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// took is how long the last attempt ran.
func (t taskRow) took() string {
	if t.Started == nil || t.Ended == nil || t.Ended.Before(*t.Started) {
		return "-"
	}
	return t.Ended.Sub(*t.Started).Round(10 * time.Millisecond).String()
}

func taskListing(rows []taskRow) listing[taskRow] {
	return listing[taskRow]{
		kind:  "TaskList",
		items: rows,
		name:  func(t taskRow) string { return t.ID },
		columns: []column[taskRow]{
			{title: "TASK", value: func(t taskRow) string { return t.ID }},
			{title: "JOB", value: func(t taskRow) string { return dash(t.Job) }},
			{title: "WHAT", value: func(t taskRow) string { return dash(t.What) }},
			{title: "STATE", value: func(t taskRow) string { return t.State }},
			{title: "ATTEMPT", value: func(t taskRow) string { return graph.Attempt(t.Attempt).String() }},
			{title: "WORKER", value: func(t taskRow) string { return dash(t.Worker) }},
			{title: "TOOK", value: taskRow.took},
			{title: "HOST", wide: true, value: func(t taskRow) string { return dash(t.Host) }},
			{title: "STARTED", wide: true, value: func(t taskRow) string { return stamp(t.Started) }},
			{title: "ENDED", wide: true, value: func(t taskRow) string { return stamp(t.Ended) }},
		},
	}
}

// taskDetail is the JSON form of a task by itself.
type taskDetail struct {
	taskRow
	Kind      string       `json:"kind"` // go, command
	Retries   int          `json:"retries"`
	Pool      string       `json:"pool,omitempty"`
	Submitted *time.Time   `json:"submitted,omitempty"`
	Bytes     uint64       `json:"resultBytes"`
	Holders   []string     `json:"holders,omitempty"`
	Failure   *taskFailure `json:"failure,omitempty"`
}

type taskFailure struct {
	Kind     string `json:"kind"` // user, died, memory, time, input, cancelled, upstream, setup, lost
	Message  string `json:"message"`
	Task     string `json:"task"` // in which it happened
	Attempt  int    `json:"attempt"`
	Host     string `json:"host,omitempty"`
	ExitCode int    `json:"exitCode"`
	Stack    string `json:"stack,omitempty"`
	Stderr   string `json:"stderr,omitempty"` // its end
}

func newTaskDetail(d client.TaskDetail) taskDetail {
	out := taskDetail{taskRow: newTaskRow(d.TaskRow, d.JobName, d.WorkerName, d.WorkerHost), Kind: d.Kind, Retries: d.Retries, Pool: d.Pool,
		Submitted: when(d.Submitted), Bytes: d.Size, Holders: d.Holders}
	if f := d.Failure; f != nil {
		out.Failure = &taskFailure{Kind: f.Kind.String(), Message: f.Message, Task: f.Task.String(), Attempt: int(f.Attempt), Host: f.Host,
			ExitCode: int(f.ExitCode), Stack: f.Stack, Stderr: strings.ToValidUTF8(string(f.Output), "\ufffd")}
	}
	return out
}

// showTask shows a task in the form that was asked for.
func (c *command) showTask(t taskDetail) error {
	if c.output != "" && c.output != "table" && c.output != "wide" {
		return listing[taskDetail]{kind: "TaskDetailList", items: []taskDetail{t}, name: func(t taskDetail) string { return t.ID }}.write(c.Out, c.output)
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	row := func(title, value string) {
		for line := range strings.Lines(value + "\n") {
			fmt.Fprintf(tw, "%s\t%s\n", title, printable(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "    ")))
			title = ""
		}
	}
	row("TASK", t.ID)
	row("JOB", dash(t.Job))
	row("WHAT", t.Kind+" "+dash(t.What))
	row("STATE", t.State)
	row("ATTEMPT", fmt.Sprintf("%s (%d retries allowed)", graph.Attempt(t.Attempt), t.Retries))
	row("WORKER", dash(t.Worker))
	row("HOST", dash(t.Host))
	row("SUBMITTED", stamp(t.Submitted))
	row("STARTED", stamp(t.Started))
	row("ENDED", stamp(t.Ended))
	row("TOOK", t.took())
	row("RESULT", byteSize(t.Bytes))
	if len(t.Holders) > 0 {
		row("HELD BY", strings.Join(t.Holders, "\n"))
	}
	if f := t.Failure; f != nil {
		row("ERROR", fmt.Sprintf("%s: %s", f.Kind, f.Message))
		if f.Task != t.ID {
			row("CAUSE", f.Task)
		}
		if f.Stack != "" {
			row("STACK", strings.TrimRight(f.Stack, "\n"))
		}
		if f.Stderr != "" {
			row("STDERR", strings.TrimRight(f.Stderr, "\n"))
		}
	}
	return tw.Flush()
}

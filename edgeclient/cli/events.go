package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

// How often events are asked for when they are followed, and how long the scheduler,
// which may be away, is waited for.
const (
	eventPoll   = 500 * time.Millisecond
	eventAnswer = 3 * time.Second
)

func (c *command) events() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "events [APP]",
		Short: "Show what happened, and why",
		Long: `events shows what happened to an application's jobs, tasks, workers and containers,
with the reasons, oldest first: what the application master and the scheduler
remember, a few thousand events each. Whoever follows counts as present, which
holds off the idle time-out, unless his access is for looking alone.`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if follow && (c.output == "json" || c.output == "yaml") {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: "a list that goes on is no " + c.output, Next: "Use -o jsonl"}
			}
			return c.withApp(cmd.Context(), first(args), func(client *edgeclient.Client, r edgeclient.Report) error {
				s, err := client.Connect(cmd.Context(), r)
				if err != nil {
					return err
				}
				defer s.Close()
				teller, err := c.teller(cmd.Context(), client, s, r)
				if err != nil {
					return err
				}
				defer teller.close()
				rows, err := teller.news(cmd.Context())
				if err != nil {
					return err
				}
				if !follow {
					return eventListing(rows).write(c.Out, c.output)
				}
				return c.followEvents(cmd.Context(), client, teller, rows)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as things happen")
	return cmd
}

// eventRow is the JSON form of an event.
type eventRow struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"` // appmaster, scheduler
	Kind   string    `json:"kind"`
	Object string    `json:"object"`
	Text   string    `json:"text"`
	// Decision is what the scheduler decided, with the numbers behind it.
	Decision *decisionRow `json:"decision,omitempty"`
}

func eventListing(rows []eventRow) listing[eventRow] {
	return listing[eventRow]{
		kind:  "EventList",
		items: rows,
		name:  func(e eventRow) string { return e.Kind },
		columns: []column[eventRow]{
			{title: "TIME", value: func(e eventRow) string { return e.Time.Format(timeForm) }},
			{title: "SOURCE", wide: true, value: func(e eventRow) string { return e.Source }},
			{title: "EVENT", value: func(e eventRow) string { return e.Kind }},
			{title: "OF", value: func(e eventRow) string { return dash(e.Object) }},
			{title: "WHAT", value: func(e eventRow) string { return e.Text }},
		},
	}
}

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// teller asks both who know what happened.
type teller struct {
	session   *edgeclient.Session
	cluster   *yarnd.Cluster // nil: the scheduler is away
	am, sched uint64         // what is known already
}

// teller connects to the scheduler as well, if it answers soon. Where there is no
// application master it has to answer.
func (c *command) teller(ctx context.Context, client *edgeclient.Client, s *edgeclient.Session, r edgeclient.Report) (*teller, error) {
	if s.ByHand() {
		cluster, err := c.attach(ctx, client, r)
		return &teller{session: s, cluster: cluster}, err
	}
	if !s.MayWork() {
		c.progress("the scheduler's events are for those who may submit work: these are the application master's")
		return &teller{session: s}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, eventAnswer)
	defer cancel()
	cluster, err := yarnd.Attach(bounded, client, r, false)
	if err != nil {
		c.progress("the scheduler does not answer; its events are missing: %s", err)
	}
	return &teller{session: s, cluster: cluster}, nil
}

func (t *teller) close() {
	if t.cluster != nil {
		t.cluster.Close()
	}
}

// news returns what has happened since the last call, by time. A scheduler that does
// not answer is asked again the next time.
func (t *teller) news(ctx context.Context) ([]eventRow, error) {
	rows := []eventRow{}
	if !t.session.ByHand() {
		list, next, err := t.session.Events(ctx, t.am)
		if err != nil {
			return nil, err
		}
		t.am = next
		for _, e := range list {
			rows = append(rows, eventRow{Time: e.When.UTC(), Source: "appmaster", Kind: e.Kind, Object: e.Object, Text: e.Text})
		}
	}
	if t.cluster != nil {
		bounded, cancel := context.WithTimeout(ctx, eventAnswer)
		defer cancel()
		if list, next, err := t.cluster.Events(bounded, t.sched); err == nil {
			t.sched = next
			for _, e := range list {
				row := eventRow{Time: e.When.UTC(), Source: "scheduler", Kind: e.Kind, Object: e.Object, Text: e.Text}
				if e.Decision != nil {
					d := newDecisionRow(*e.Decision)
					row.Decision = &d
				}
				rows = append(rows, row)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b eventRow) int { return a.Time.Compare(b.Time) })
	return rows, nil
}

// followEvents writes events as they come, until the application has ended.
func (c *command) followEvents(ctx context.Context, client *edgeclient.Client, t *teller, rows []eventRow) error {
	for {
		for _, e := range rows {
			if err := c.writeEvent(e); err != nil {
				return err
			}
		}
		select {
		case <-time.After(eventPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var err error
		if rows, err = t.news(ctx); err == nil {
			continue
		}
		if r, rerr := client.Report(ctx, t.session.App.ID); rerr == nil && r.State.Ended() {
			c.progress("%s ended %s", r.ID, r.Final)
			return nil
		}
		return err
	}
}

// writeEvent writes one event in the form that was asked for, on a line of its own.
func (c *command) writeEvent(e eventRow) error {
	switch c.output {
	case "jsonl":
		return json.NewEncoder(c.Out).Encode(e)
	case "name":
		_, err := fmt.Fprintln(c.Out, e.Kind)
		return err
	}
	_, err := fmt.Fprintf(c.Out, "%s  %-20s  %s  %s\n", e.Time.Format(timeForm), e.Kind, printable(dash(e.Object)), printable(e.Text))
	return err
}

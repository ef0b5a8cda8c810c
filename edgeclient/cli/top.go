package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
)

func (c *command) top() *cobra.Command {
	interval := time.Second
	cmd := &cobra.Command{
		Use:   "top [APP]",
		Short: "Watch workers, tasks, rates and memory on a full screen",
		Long: `top shows how an application stands, again and again, until Ctrl-C. With -o, or when
standard output is no terminal, it shows that once. Whoever watches counts as
present, which holds off the idle time-out, unless his access is for looking alone.`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if interval < 100*time.Millisecond {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("every %s is too often", interval), Next: "Give an --interval of at least 100ms"}
			}
			once := cmd.Flags().Changed("output") || !terminal(c.Out)
			return c.withSight(cmd.Context(), first(args), func(s sight) error {
				return c.watchTop(cmd.Context(), s, interval, once)
			})
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", interval, "between two looks; rates are over it")
	return cmd
}

// topShot is the JSON form of one look.
type topShot struct {
	ID        string      `json:"id"`
	Time      time.Time   `json:"time"`
	Tasks     taskCounts  `json:"tasks"`
	PerSecond float64     `json:"endedPerSecond"` // since the look before
	Workers   []workerRow `json:"workers"`
}

type taskCounts struct {
	Waiting   int `json:"waiting"`
	Ready     int `json:"ready"`
	Running   int `json:"running"`
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

func (t taskCounts) ended() int { return t.Done + t.Failed + t.Cancelled }

func countTasks(jobs []client.JobInfo) (t taskCounts) {
	for _, j := range jobs {
		t.Waiting += j.Waiting
		t.Ready += j.Ready
		t.Running += j.Running
		t.Done += j.Done
		t.Failed += j.Failed
		t.Cancelled += j.Cancelled
	}
	return t
}

// lookTop takes one look; before is the one before it, or nil.
func lookTop(ctx context.Context, s sight, before *topShot) (*topShot, error) {
	tasks, err := countedTasks(ctx, s)
	if err != nil {
		return nil, err
	}
	shot := &topShot{ID: s.session.App.ID, Time: time.Now().UTC(), Tasks: tasks}
	if shot.Workers, err = workerRows(ctx, s); err != nil {
		return nil, err
	}
	shot.rate(before)
	return shot, nil
}

// countedTasks are the scheduler's tasks, by its own word or by the application master's.
func countedTasks(ctx context.Context, s sight) (taskCounts, error) {
	if s.cluster == nil {
		info, err := s.info(ctx)
		return reported(info.GetReport()), err
	}
	jobs, err := s.cluster.Jobs(ctx)
	return countTasks(jobs), err
}

// rate is how many tasks have ended a second since before. A job that was closed
// meanwhile takes its counts with it: that is no rate below 0.
func (s *topShot) rate(before *topShot) {
	if before == nil {
		return
	}
	if d := s.Time.Sub(before.Time).Seconds(); d > 0 {
		s.PerSecond = max(0, float64(s.Tasks.ended()-before.Tasks.ended())/d)
	}
}

func (c *command) watchTop(ctx context.Context, s sight, interval time.Duration, once bool) error {
	shot, err := lookTop(ctx, s, nil)
	if err != nil {
		return err
	}
	if !once { // the screen as it was comes back at the end
		fmt.Fprint(c.Out, "\x1b[?1049h\x1b[?25l")
		defer fmt.Fprint(c.Out, "\x1b[?25h\x1b[?1049l")
	}
	for {
		if !once {
			if err := drawTop(c.Out, shot); err != nil {
				return err
			}
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			if once {
				return context.Cause(ctx)
			}
			return nil
		}
		next, err := lookTop(ctx, s, shot)
		if ctx.Err() != nil && !once {
			return nil
		}
		if err != nil {
			return err
		}
		if shot = next; once {
			return c.writeTop(shot)
		}
	}
}

func (c *command) writeTop(s *topShot) error {
	if c.output != "" && c.output != "table" && c.output != "wide" {
		return listing[topShot]{kind: "TopList", items: []topShot{*s}, name: func(s topShot) string { return s.ID }}.write(c.Out, c.output)
	}
	return s.print(c.Out, c.output == "wide")
}

// print shows a look to a person.
func (s *topShot) print(w io.Writer, wide bool) error {
	n := strconv.Itoa
	slots, results, rss := 0, uint64(0), uint64(0)
	for _, k := range s.Workers {
		slots += k.Slots
		results += k.Results
		rss += k.RSS
	}
	fmt.Fprintf(w, "%s  %s  %d workers  %d slots  results %s  rss %s\n\n", s.ID, s.Time.Format(time.RFC3339), len(s.Workers), slots, byteSize(results), byteSize(rss))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WAITING\tREADY\tRUNNING\tDONE\tFAILED\tCANCELLED\tENDED/S")
	fmt.Fprintln(tw, strings.Join([]string{n(s.Tasks.Waiting), n(s.Tasks.Ready), n(s.Tasks.Running), n(s.Tasks.Done), n(s.Tasks.Failed), n(s.Tasks.Cancelled),
		strconv.FormatFloat(s.PerSecond, 'f', 1, 64)}, "\t"))
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return workerListing(s.Workers).table(w, wide)
}

// drawTop draws a look over the one before it, cut to the screen.
func drawTop(w io.Writer, s *topShot) error {
	width, height := 80, 24
	if f, ok := w.(*os.File); ok {
		if x, y, err := term.GetSize(int(f.Fd())); err == nil && x > 0 && y > 0 {
			width, height = x, y
		}
	}
	_, err := io.WriteString(w, s.screen(width, height))
	return err
}

// screen is a look as a screenful: each line is cut, and clears what it does not
// cover; what is below the last is cleared.
func (s *topShot) screen(width, height int) string {
	var b bytes.Buffer
	s.print(&b, false) //nolint:errcheck // a buffer takes everything
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	out := "\x1b[H"
	for i, line := range lines[:min(len(lines), height)] {
		if r := []rune(line); len(r) > width {
			line = string(r[:width])
		}
		if i > 0 {
			out += "\r\n"
		}
		out += line + "\x1b[K"
	}
	return out + "\x1b[J"
}

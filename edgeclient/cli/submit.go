package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) submit() *cobra.Command {
	r := edgeclient.Request{}
	var wait string
	var dry bool
	cmd := &cobra.Command{
		Use:   "submit [--workers N] [-f cluster.yaml] [PROGRAM|SCRIPT [-- ARG…]]",
		Short: "Start a cluster and print its application id",
		Long: `submit puts this binary and the given archives into HDFS (only what is not there
yet), starts an application master, and prints the application's id, alone, on
standard output. The cluster lives until it is killed or idle for --idle-timeout,
whether anybody is connected or not. Flags but -f, --dry-run and the two below can be set in
yarnd.yaml: see yarnd config.

With --id-file FILE, or with --name NAME --if-not-exists, the same command can be run
again, also after it was killed at whatever moment, and gives the same application.

A PROGRAM or SCRIPT is a driver: it runs inside the cluster, in a container of its
own, with the application as $YARND_APP, which is "current" there. The application
ends with it: SUCCEEDED if its exit code is 0, else FAILED. A static Go program that
imports yarnd is the workers' program too; any other program, or a script that begins
with #!, is put beside yarnd in the driver's container.`,
		Example: `  yarnd submit --workers 20 --worker-memory 2GiB
  APP=$(yarnd submit --workers 4 --env venv.tar.gz --wait workers:4)
  yarnd submit --workers 8 --wait finished report.sh -- --day monday`,
		Args: driverArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				r.Driver, r.DriverArgs = args[0], args[1:]
			}
			if err := parseWait("wait", wait, &r); err != nil {
				return err
			}
			if err := r.Check(); err != nil {
				return err
			}
			client, err := c.open(cmd.Context(), "")
			if err != nil {
				return err
			}
			defer client.Close()
			if dry {
				plan, err := client.Plan(cmd.Context(), r)
				if err != nil {
					return err
				}
				return c.showPlan(plan)
			}
			report, err := client.Submit(cmd.Context(), r)
			if report.ID == "" {
				return err
			}
			if _, lost := fmt.Fprintln(c.Out, report.ID); lost != nil && err == nil {
				err = &edgeclient.Fault{Code: edgeclient.Internal, What: report.ID + " runs, but its id could not be written", Why: lost, Next: "End it with yarnd kill " + report.ID}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&c.file, "config", "f", "", "read settings from this YAML file; flags and the environment come before it")
	f.BoolVar(&dry, "dry-run", false, "make every check and show what would be submitted; change nothing")
	f.BoolVar(&r.IfNotExists, "if-not-exists", false, "print the id of the application that has this --name and has not ended, if there is one, instead of starting another")
	f.StringVar(&r.IDFile, "id-file", "", "keep the application's id in this file, written before it is submitted: run again with the same file, also after it was killed, submit gives the same application")
	requestFlags(f, &r, &wait)
	return cmd
}

// driverArgs demands [PROGRAM [-- ARG…]].
func driverArgs(cmd *cobra.Command, args []string) error {
	named := len(args)
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		named = dash
	}
	switch {
	case named > 1:
		return usage("submit takes one program, but got "+strings.Join(args[:named], " "), "Put the program's arguments after --")
	case named == 0 && len(args) > 0:
		return usage("there are arguments after --, and no program before it", "Name a program: yarnd submit PROGRAM -- ARG…")
	}
	return nil
}

// size is a flag in bytes, written 512MiB.
type size int64

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return edgeclient.FormatBytes(int64(*s))
}

func (s *size) Set(text string) error {
	n, err := edgeclient.ParseBytes(text)
	if err == nil && n == 0 {
		err = fmt.Errorf("size %q is nothing", text)
	}
	*s = size(n)
	return err
}

func (s *size) Type() string { return "size" }

// cores is a flag with a number of virtual cores.
type cores int

func (c *cores) String() string {
	if *c == 0 {
		return ""
	}
	return strconv.Itoa(int(*c))
}

func (c *cores) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no number of cores", text)
	}
	*c = cores(n)
	return nil
}

func (c *cores) Type() string { return "int" }

// parseWait reads none|accepted|workers:N|finished, what was said to a flag, into r.
func parseWait(flag, text string, r *edgeclient.Request) error {
	kind, n, counted := strings.Cut(text, ":")
	count, err := strconv.Atoi(n)
	ok := !counted
	switch r.Wait = edgeclient.Wait(kind); r.Wait {
	case edgeclient.WaitNone, edgeclient.WaitAccepted, edgeclient.WaitRunning, edgeclient.WaitFinished:
	case edgeclient.WaitWorkers:
		ok = counted && err == nil && count >= 1 && count <= edgeclient.MaxWorkers
	default:
		ok = false
	}
	if !ok {
		return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("unknown --%s %q", flag, text), Next: fmt.Sprintf("Use --%s none|accepted|workers:N|finished", flag)}
	}
	r.WaitWorkers = count
	return nil
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

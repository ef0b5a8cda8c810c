package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
)

// callTimeout bounds each answer of the cluster when --timeout is not given: a
// command without a ResourceManager ends with an error, not with patience.
const callTimeout = 20 * time.Second

// Streams are the command's standard input and outputs.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// command is what every command shares: the streams and the flags of the root.
type command struct {
	Streams
	app         string // where a command line names none
	provider    string
	credentials string
	principal   string
	keytab      string
	proxyUser   string
	output      string
	timeout     time.Duration
	quiet       bool
	verbose     bool
	define      []string
	file        string // of settings, -f
	bars        bars

	settings config.Resolved // who set what, once prepare has run
}

// exit ends a command with a remote command's own code and no message.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Run executes one command line, without the program's name, and returns the
// exit code. It ends early, tidily, when ctx does.
func Run(ctx context.Context, args []string, s Streams) int {
	c := &command{Streams: s}
	c.bars.c = c
	root := c.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := root.ExecuteContextC(ctx)
	c.bars.end()
	var code exit
	if err == nil {
		return 0
	}
	if errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(s.Err, "yarnd: %s\n", printableLines(err.Error()))
	end := yarnd.ExitCode(err)
	if passesThrough(cmd.Name()) && end != edgeclient.Interrupted {
		end = edgeclient.Remote // other codes are the remote command's
	}
	return int(end)
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "yarnd",
		Short: "A living compute cluster inside YARN",
		Long: `yarnd starts a compute cluster inside a Hadoop cluster's YARN, keeps it alive
while nobody is connected, and lets its owner come back with the application id.

  yarnd submit --workers 20          prints the id
  yarnd map last -- md5sum {}        runs a command for each line of standard input
  yarnd status last                  what runs where
  yarnd kill last                    ends it and leaves nothing`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		PersistentPreRunE: c.prepare,
	}
	f := root.PersistentFlags()
	setting(f, "app", &c.app)
	setting(f, "provider", &c.provider)
	setting(f, "credentials", &c.credentials)
	setting(f, "principal", &c.principal)
	setting(f, "keytab", &c.keytab)
	setting(f, "proxy-user", &c.proxyUser)
	setting(f, "output", &c.output)
	setting(f, "timeout", &c.timeout)
	setting(f, "quiet", &c.quiet)
	setting(f, "verbose", &c.verbose)
	setting(f, config.HadoopKey, &c.define)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// Before a command that does not exist all its flags are unknown.
		if unknown := cmd.ValidateArgs(cmd.Flags().Args()); cmd.HasSubCommands() && unknown != nil {
			return unknown
		}
		next := "See " + cmd.CommandPath() + " --help"
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
			if near := config.NearestOf(unknown.GetSpecifiedName(), flagNames(cmd)); near != "" {
				next = "Did you mean --" + near + "? " + next
			}
		}
		return &edgeclient.Fault{Code: edgeclient.Usage, What: err.Error(), Next: next}
	})
	root.AddCommand(c.submit(), c.run(), c.list(), c.status(), c.logs(), c.scale(), c.connect(), c.mapItems(),
		c.exec(), c.wait(), c.kill(), c.workers(), c.move(), c.doctor(), c.env(), c.bundle(), c.config(), c.minicluster(), c.docs(), c.version())
	root.AddCommand(c.scheduler(), c.local(), c.worker(), c.task(), c.events(), c.top(), c.adapt(), c.explain(), c.renew())
	c.completions(root)
	return root
}

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// ownTimeout on a command says what --timeout bounds there, where that is not all of it.
const ownTimeout = "yarnd.own-timeout"

// prepare runs before every command.
func (c *command) prepare(cmd *cobra.Command, _ []string) error {
	if err := flagsFromEnv(cmd); err != nil {
		return err
	}
	if err := c.configure(cmd.Flags(), readsSettings(cmd)); err != nil {
		return err
	}
	if err := checkOutput(c.output); err != nil {
		return err
	}
	if c.timeout < 0 {
		return &edgeclient.Fault{Code: edgeclient.Usage, What: "a negative time-out has no meaning", Next: "Use --timeout 30s"}
	}
	if c.timeout > 0 && cmd.Annotations[ownTimeout] == "" {
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), c.timeout, &edgeclient.Fault{
			Code: edgeclient.TimedOut, What: fmt.Sprintf("not done after %s", c.timeout), Next: "Try again with a longer --timeout"})
		cobra.OnFinalize(cancel)
		cmd.SetContext(ctx)
	}
	return nil
}

// flagsFromEnv gives flags that are no settings, and were not typed, the value of
// YARND_<FLAG>, which is YARND_<COMMAND>_<FLAG> for what means something else there:
// the settings, and YARND_APP, the current application. The command of a group has the
// group's name in front: YARND_ENV_VERIFY_NAME.
func flagsFromEnv(cmd *cobra.Command) error {
	command, flags := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "), cmd.Flags()
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Annotations[keyAnnotation] != nil {
			return
		}
		name := f.Name
		if isSetting(name) || name == appFlag {
			name = command + "-" + name
		}
		name = "YARND_" + strings.ToUpper(strings.NewReplacer("-", "_", " ", "_").Replace(name))
		value, set := os.LookupEnv(name)
		if !set || f.Changed || err != nil {
			return
		}
		if e := flags.Set(f.Name, value); e != nil {
			err = &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("the environment's %s: %v", name, e), Next: "Correct or unset " + name}
		}
	})
	return err
}

// open connects to where app runs: a local id says so by itself.
func (c *command) open(ctx context.Context, app string) (*edgeclient.Client, error) {
	return edgeclient.OpenFor(ctx, app, c.options())
}

// options are what all commands tell the edge client.
func (c *command) options() edgeclient.Options {
	wait := callTimeout
	if c.timeout > 0 {
		wait = c.timeout
	}
	return edgeclient.Options{
		Provider: c.provider, Credentials: c.credentials, Define: c.define, CallTimeout: wait,
		Principal: c.principal, Keytab: c.keytab, ProxyUser: c.proxyUser,
		Log: c.logger(), Progress: c.progress, Upload: c.bars.upload, VmSize: yarnd.AddressSpace,
	}
}

func (c *command) logger() *slog.Logger {
	if !c.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(c.Err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// progress tells a person what happens; scripts that want silence say -q.
func (c *command) progress(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintln(c.Err, printable(fmt.Sprintf(format, args...)))
	}
}

// withApp runs f with an application; "" is the one that is meant where none is named.
func (c *command) withApp(ctx context.Context, app string, f func(*edgeclient.Client, edgeclient.Report) error) error {
	if app == "" {
		var err error
		if app, err = edgeclient.Default(c.app); err != nil {
			return err
		}
	}
	client, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer client.Close()
	report, err := client.Find(ctx, app)
	if err != nil {
		return err
	}
	return f(client, report)
}

// oneApp allows one argument, an application.
func oneApp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || len(args) == 1 && args[0] != "" {
		return nil
	}
	return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%s takes one application, or none for the current one", cmd.CommandPath()), Next: "See " + cmd.CommandPath() + " --help"}
}

// first is the application that oneApp allows; "" is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// appArg demands exactly n arguments, the first of which is an application.
func appArg(n int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%s takes %s", cmd.CommandPath(), usage), Next: "See " + cmd.CommandPath() + " --help"}
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%s takes no argument, but got %q", cmd.CommandPath(), args[0]), Next: "See " + cmd.CommandPath() + " --help"}
}

// knownCommand refuses what is no command, and says which one is near.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	path := cmd.CommandPath() + " "
	next := "See " + path + "--help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		next = "Did you mean " + path + strings.Join(near, ", or "+path) + "?"
	}
	return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("unknown command %q", args[0]), Next: next}
}

package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/packaging"
)

func (c *command) env() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Make, look at and keep environments for the workers",
		Long: `An environment is an archive that is unpacked on the workers, such as a Python with
packages. submit --env brings it there under the name "environment":

  yarnd env pack venv://.venv --to env.tar.gz
  yarnd submit --workers 4 --env env.tar.gz
  yarnd map last -- environment/bin/python script.py {}`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.envPack(), c.envInspect(), c.envPush(), c.envList(), c.envRemove(), c.envGC(), c.envVerify())
	return cmd
}

// environmentLimits are those under which submit takes an environment.
func environmentLimits(allowRatio bool) packaging.Limits {
	l := packaging.Limits{OutsideLinks: true}
	if allowRatio {
		l.Ratio = -1
	}
	return l
}

// withArchive calls f with an archive on this host: the one named, or a copy of
// one on the cluster's file system.
func (c *command) withArchive(ctx context.Context, source string, f func(file string) error) error {
	if !strings.Contains(source, "://") || strings.HasPrefix(source, "file://") {
		file := strings.TrimPrefix(source, "file://")
		if _, err := os.Stat(file); err != nil {
			return &edgeclient.Fault{Code: edgeclient.NotFound, What: "cannot use " + file, Why: rootOf(err), Next: "Check the path"}
		}
		return f(file)
	}
	client, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	defer client.Close()
	scratch, err := scratchDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	file, err := client.Fetch(ctx, source, scratch)
	if err != nil {
		return err
	}
	return f(file)
}

// scratchDir makes a directory that the caller removes.
func scratchDir() (string, error) {
	dir, err := os.MkdirTemp("", "yarnd-env-")
	if err != nil {
		return "", &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot make a scratch directory", Why: err, Next: "Set TMPDIR to a directory with room"}
	}
	return dir, nil
}

// rootOf is an error of package os without the operation and the path.
func rootOf(err error) error {
	if pe := (*os.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// oneArg demands one argument.
func oneArg(what string) cobra.PositionalArgs { return appArg(1, what) }

func entries(list []packaging.Entry) listing[packaging.Entry] {
	return listing[packaging.Entry]{
		kind:  "CacheEntryList",
		items: list,
		name:  func(e packaging.Entry) string { return e.Hash },
		columns: []column[packaging.Entry]{
			{title: "SHA256", value: func(e packaging.Entry) string { return e.Hash[:12] }},
			{title: "NAME", value: func(e packaging.Entry) string { return e.Name }},
			{title: "SIZE", value: func(e packaging.Entry) string { return edgeclient.FormatBytes(e.Size) }},
			{title: "WRITTEN", value: func(e packaging.Entry) string { return ago(e.Written) }},
			{title: "USED", value: func(e packaging.Entry) string { return ago(e.Used) }},
			{title: "BY", value: func(e packaging.Entry) string { return dash(e.Application) }},
			{title: "URL", wide: true, value: func(e packaging.Entry) string { return e.URL }},
		},
	}
}

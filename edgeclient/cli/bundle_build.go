package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/packaging"
)

func (c *command) bundleBuild() *cobra.Command {
	var o packaging.BuildOptions
	cmd := &cobra.Command{
		Use:   "build [PACKAGE]",
		Short: "Build a Go package into a static program and print its name",
		Long: `build runs go build for a package, of the working directory when none is named, so
that the program runs on any node: static, for Linux, without paths of this host.`,
		Example: `  yarnd submit --workers 4 --bundle "$(yarnd bundle build ./cmd/job)"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return appArg(1, "at most one package")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Package = "."
			if len(args) == 1 {
				o.Package = args[0]
			}
			b, err := packaging.Build(cmd.Context(), o)
			if err != nil {
				return edgeclient.PackagingFault("cannot build "+o.Package, err)
			}
			c.progress("built %s, %s", b.Module, edgeclient.FormatBytes(b.Size))
			_, err = fmt.Fprintln(c.Out, b.Path)
			return err
		},
	}
	cmd.Flags().StringVar(&o.To, "to", "", "program to write (default the package's name, here)")
	cmd.Flags().StringVar(&o.Tags, "tags", "", "build tags, comma-separated")
	cmd.Flags().BoolVar(&o.Symbols, "symbols", false, "keep symbols, for debuggers and profilers")
	return cmd
}

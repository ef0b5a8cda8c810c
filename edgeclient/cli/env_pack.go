package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/packaging"
)

func (c *command) envPack() *cobra.Command {
	var o packaging.PackOptions
	cmd := &cobra.Command{
		Use:   "pack SOURCE",
		Short: "Pack an environment into an archive and print its name",
		Long: `pack writes an environment into a .tar.gz that works wherever it is unpacked, with a
manifest.json of what is in it. The same files give the same archive. SOURCE is

  venv://PATH               a virtual environment. It holds no Python of its own:
                            every node must have the same Python at the same path
  conda://NAME or ://PATH   an environment of conda's, Python included (conda-pack)
  python://3.12             that Python itself, for any node (uv), with --package
  python:///usr/bin/python3 the nodes' own Python, with --package
  DIRECTORY                 any directory, as it is`,
		Example: `  yarnd env pack venv://.venv --to env.tar.gz
  yarnd env pack python://3.12 --package numpy --package pandas
  yarnd env pack python:///usr/bin/python3 --requirements requirements.txt`,
		Args: oneArg("one environment: venv://PATH, conda://NAME, python://VERSION or a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			start := time.Now()
			o.Say, o.Progress = c.progress, c.bars.pack
			p, err := packaging.Pack(cmd.Context(), args[0], o)
			if err != nil {
				return edgeclient.PackagingFault("cannot pack "+args[0], err)
			}
			for _, n := range append(p.Manifest.Problems, p.Manifest.Notes...) {
				c.progress("note: %s", n)
			}
			c.progress("packed %d entries into %s in %s", p.Entries, edgeclient.FormatBytes(p.Size), time.Since(start).Round(time.Millisecond))
			_, err = fmt.Fprintln(c.Out, p.Path)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.To, "to", "", "archive to write, .tar.gz (default the source's name, here)")
	f.StringArrayVar(&o.Packages, "package", nil, "requirement to install, for python://; may be repeated")
	f.StringVar(&o.Requirements, "requirements", "", "file of requirements to install, for python://")
	f.BoolVar(&o.Bytecode, "bytecode", false, "keep __pycache__: twice the entries, a faster first import")
	f.BoolVar(&o.VenvPack, "venv-pack", false, "pack a virtual environment with venv-pack instead of our own packer")
	f.BoolVar(&o.AllowProblems, "allow-problems", false, "pack what would not work on the nodes")
	return cmd
}

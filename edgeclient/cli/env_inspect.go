package cli

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/packaging"
)

func (c *command) envInspect() *cobra.Command {
	var allowRatio bool
	cmd := &cobra.Command{
		Use:   "inspect ARCHIVE",
		Short: "Show what an archive holds and what is wrong with it",
		Long: `inspect reads an archive, here or on the cluster's file system, to its end, and shows
what it holds, what it needs of the nodes, and its problems. It refuses what submit
refuses, with exit code 2, and also ends with 2 when it finds a problem that would
keep the environment from working.`,
		Args: oneArg("one archive"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withArchive(cmd.Context(), args[0], func(file string) error {
				return c.inspect(cmd.Context(), args[0], file, allowRatio)
			})
		},
	}
	setting(cmd.Flags(), "allow-ratio", &allowRatio)
	return cmd
}

// inspection is the JSON form of what is found in an archive.
type inspection struct {
	Path     string  `json:"path"`
	Sound    bool    `json:"sound"` // submit would take it
	Format   string  `json:"format,omitempty"`
	SHA256   string  `json:"sha256,omitempty"`
	Size     int64   `json:"size"`
	Unpacked int64   `json:"unpacked"`
	Entries  int64   `json:"entries"`
	Ratio    float64 `json:"ratio"`
	Manifest bool    `json:"manifest"`
	packaging.Survey
}

func (c *command) inspect(ctx context.Context, name, file string, allowRatio bool) error {
	i, err := packaging.Inspect(ctx, file, environmentLimits(allowRatio))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	show := inspection{Path: name, Sound: err == nil, Format: string(i.Format), SHA256: i.SHA256, Size: i.Size, Unpacked: i.Unpacked,
		Entries: i.Entries, Manifest: i.Manifest != nil, Survey: i.Survey}
	if i.Size > 0 {
		show.Ratio = float64(i.Unpacked*100/i.Size) / 100
	}
	if err != nil {
		show.Problems = append(show.Problems, err.Error())
	}
	if werr := show.write(c); werr != nil {
		return werr
	}
	switch {
	case err != nil:
		return edgeclient.PackagingFault("cannot use "+name, err)
	case len(show.Problems) > 0:
		return &edgeclient.Fault{Code: edgeclient.Usage, What: name + " would not work on the nodes: " + show.Problems[0], Next: "Correct the environment and pack it anew"}
	}
	return nil
}

func (s inspection) write(c *command) error {
	if c.output != "table" && c.output != "wide" {
		return listing[inspection]{kind: "InspectionList", items: []inspection{s}, name: func(s inspection) string { return s.SHA256 }}.write(c.Out, c.output)
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	row := func(title, value string) {
		if value != "" {
			fmt.Fprintf(tw, "%s\t%s\n", title, printable(value))
		}
	}
	row("PATH", s.Path)
	row("SHA256", s.SHA256)
	row("SIZE", edgeclient.FormatBytes(s.Size))
	row("UNPACKED", fmt.Sprintf("%s in %d entries, %.1f times the size", edgeclient.FormatBytes(s.Unpacked), s.Entries, s.Ratio))
	if s.Arch != "" {
		row("PLATFORM", s.OS+"/"+s.Arch)
	}
	row("GLIBC", orMore(s.Glibc))
	row("PYTHON", s.Python)
	row("NEEDS", s.Interpreter)
	row("PACKAGES", countOf(len(s.Packages)))
	for _, n := range s.Notes {
		row("NOTE", n)
	}
	for _, p := range s.Problems {
		row("PROBLEM", p)
	}
	if c.output == "wide" {
		for _, p := range s.Packages {
			row("PACKAGE", p.Name+" "+p.Version)
		}
	}
	return tw.Flush()
}

func orMore(glibc string) string {
	if glibc == "" || glibc == "musl" {
		return glibc
	}
	return glibc + " or later"
}

func countOf(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

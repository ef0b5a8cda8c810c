package cli

import (
	"encoding/hex"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/packaging"
)

func (c *command) bundleInspect() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect PROGRAM",
		Short: "Show what a program is and whether it runs on the nodes",
		Long: `inspect refuses, with exit code 2, what submit --bundle refuses: scripts, programs
that need shared libraries, for another processor or system, or cut short.`,
		Args: oneArg("one program"),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := packaging.CheckBundle(args[0])
			if err != nil {
				return edgeclient.PackagingFault("cannot use "+args[0], err)
			}
			return c.showBundle(b)
		},
	}
}

// bundleInfo is the JSON form of a bundle.
type bundleInfo struct {
	Path     string `json:"path"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	Platform string `json:"platform"`
	Module   string `json:"module,omitempty"`
	Go       string `json:"go,omitempty"`
	Library  string `json:"library,omitempty"`
}

func (c *command) showBundle(b packaging.Bundle) error {
	show := bundleInfo{b.Path, hex.EncodeToString(b.SHA256[:]), b.Size, "linux/" + b.Machine, b.Module, b.Go, b.Library}
	if c.output != "table" && c.output != "wide" {
		return listing[bundleInfo]{kind: "BundleList", items: []bundleInfo{show}, name: func(s bundleInfo) string { return s.SHA256 }}.write(c.Out, c.output)
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for _, r := range [][2]string{{"PATH", show.Path}, {"SHA256", show.SHA256}, {"SIZE", edgeclient.FormatBytes(show.Size)},
		{"PLATFORM", show.Platform}, {"MODULE", dash(show.Module)}, {"GO", dash(show.Go)}, {"YARND", dash(show.Library)}} {
		fmt.Fprintf(tw, "%s\t%s\n", r[0], printable(r[1]))
	}
	return tw.Flush()
}

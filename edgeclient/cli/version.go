package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
)

func (c *command) version() *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Annotations: map[string]string{noSettings: "it must answer whatever is wrong"},
		Short:       "Show the version of this program",
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versionInfo{Version: yarnd.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Revision = s.Value
					}
				}
			}
			if c.output == "table" || c.output == "wide" || c.output == "name" {
				_, err := fmt.Fprintf(c.Out, "yarnd %s (%s, %s)\n", v.Version, v.Go, v.Platform)
				return err
			}
			return listing[versionInfo]{kind: "VersionList", items: []versionInfo{v}}.write(c.Out, c.output)
		},
	}
}

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
)

// plan is the JSON form of what submit would do.
type plan struct {
	Cluster  string         `json:"cluster"`
	User     string         `json:"user"`
	Staging  string         `json:"staging"`
	Settings []shownSetting `json:"settings"`
	Uploads  []planUpload   `json:"uploads"`
	// Bytes is the sum of what has to be uploaded.
	Bytes int64 `json:"bytes"`
}

type planUpload struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	URL    string `json:"url,omitempty"`
	Bytes  int64  `json:"bytes"`
	Cached bool   `json:"cached"`
}

func (c *command) planOf(p edgeclient.Plan) plan {
	out := plan{Cluster: p.Cluster, User: p.User, Staging: p.Staging, Settings: shownSettings(requestSettings(c.settings)), Uploads: []planUpload{}}
	for _, u := range p.Uploads {
		out.Uploads = append(out.Uploads, planUpload(u))
		if !u.Cached {
			out.Bytes += u.Bytes
		}
	}
	return out
}

// requestSettings are those that make an application.
func requestSettings(r config.Resolved) []config.Entry {
	var out []config.Entry
	for _, e := range r.All() {
		if s := config.Must(e.Key); !s.Every || e.Key == "provider" || e.Key == config.HadoopKey {
			out = append(out, e)
		}
	}
	return out
}

// showPlan shows what submit would do.
func (c *command) showPlan(p edgeclient.Plan) error {
	show := c.planOf(p)
	if c.output != "table" && c.output != "wide" {
		return listing[plan]{kind: "PlanList", items: []plan{show}, name: func(p plan) string { return p.Cluster }}.write(c.Out, c.output)
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "CLUSTER\t%s\nUSER\t%s\nSTAGING\t%s\n", printable(show.Cluster), printable(show.User), printable(show.Staging))
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(c.Out)
	if err := settingsList(show.Settings, true).write(c.Out, c.output); err != nil {
		return err
	}
	fmt.Fprint(tw, "\nFILE\tSOURCE\tSIZE\tUPLOAD\n")
	for _, u := range show.Uploads {
		state := "yes"
		if u.Cached {
			state = "no, it is there"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", printable(u.Name), printable(u.Source), edgeclient.FormatBytes(u.Bytes), state)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	c.progress("every check passed; %s would be uploaded; nothing was changed", edgeclient.FormatBytes(show.Bytes))
	return nil
}

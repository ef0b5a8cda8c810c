package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/edgeclient/config"
)

func (c *command) config() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show settings, and the files that they come from",
		Long: `config shows what holds here when nothing is typed. A setting is taken from the
first of: flag, environment (YARND_…), the file of -f, ./yarnd.yaml, the user's
file, the system's file, Hadoop's site files (yarnd.…), default.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.configView(), c.configPath())
	return cmd
}

func (c *command) configView() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "view",
		Short: "Show every setting that has a value; --origin says who set it",
		Long: `view shows every setting that has a value, or a default. Values that may be
secrets, by their name, are hidden.`,
		Example: `  yarnd config view --origin
  yarnd config view -f cluster.yaml -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return settingsList(shownSettings(c.settings.All()), origin).write(c.Out, c.output)
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say who set each")
	cmd.Flags().StringVarP(&c.file, "config", "f", "", "read settings from this YAML file too, as submit -f does")
	return cmd
}

// shownSetting is the JSON form of a setting.
type shownSetting struct {
	Key    string   `json:"key"`
	Value  string   `json:"value"`
	Values []string `json:"values,omitempty"` // of a list
	Origin string   `json:"origin"`
}

func shownSettings(entries []config.Entry) []shownSetting {
	out := []shownSetting{}
	for _, e := range entries {
		s := shownSetting{Key: e.FullKey(), Value: e.Shown(), Origin: e.Origin.String()}
		if config.Must(e.Key).Kind.Shape == config.List {
			s.Values = e.ShownValues()
		}
		out = append(out, s)
	}
	return out
}

func settingsList(items []shownSetting, origin bool) listing[shownSetting] {
	return listing[shownSetting]{
		kind: "SettingList", items: items,
		name: func(s shownSetting) string { return s.Key },
		columns: []column[shownSetting]{
			{title: "KEY", value: func(s shownSetting) string { return s.Key }},
			{title: "VALUE", value: func(s shownSetting) string { return dash(s.Value) }},
			{title: "ORIGIN", wide: !origin, value: func(s shownSetting) string { return s.Origin }},
		},
	}
}

func (c *command) configPath() *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Show where files of settings are looked for, and which are there",
		Long: `path shows where files of settings are looked for, the one that wins first. With
-o name it shows only those that are there.`,
		Args:        noArgs,
		Annotations: map[string]string{noSettings: "it helps to find the file that is wrong"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			files := settingsFiles()
			if c.output == "name" {
				there := files[:0]
				for _, f := range files {
					if f.State != "absent" {
						there = append(there, f)
					}
				}
				files = there
			}
			return filesList(files).write(c.Out, c.output)
		},
	}
}

// settingsFile is the JSON form of a place where settings are looked for.
type settingsFile struct {
	Path  string `json:"path"`
	Whose string `json:"whose"`
	State string `json:"state"` // absent, read, or what is wrong
}

func settingsFiles() []settingsFile {
	whose := map[config.Source]string{config.FromHere: "this directory", config.FromUser: "user", config.FromSystem: "system"}
	out := []settingsFile{}
	for _, f := range config.Files("", os.LookupEnv) {
		s := settingsFile{Path: absolute(f.Path), Whose: whose[f.Source], State: "read"}
		if _, err := os.Stat(f.Path); errors.Is(err, fs.ErrNotExist) {
			s.State = "absent"
		} else if _, err := readSettings(f); err != nil {
			s.State = "wrong: " + err.Error()
		}
		out = append(out, s)
	}
	return out
}

func filesList(items []settingsFile) listing[settingsFile] {
	return listing[settingsFile]{
		kind: "SettingsFileList", items: items,
		name: func(f settingsFile) string { return f.Path },
		columns: []column[settingsFile]{
			{title: "PATH", value: func(f settingsFile) string { return f.Path }},
			{title: "WHOSE", value: func(f settingsFile) string { return f.Whose }},
			{title: "STATE", value: func(f settingsFile) string { return f.State }},
		},
	}
}

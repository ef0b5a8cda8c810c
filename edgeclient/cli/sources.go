package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// readsSettings tells whether a command reads files of settings. What completes a
// command line must work whatever they say.
func readsSettings(cmd *cobra.Command) bool {
	for ; cmd != nil; cmd = cmd.Parent() {
		if cmd.Annotations[noSettings] != "" || slices.Contains([]string{"completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, cmd.Name()) {
			return false
		}
	}
	return true
}

// configure finds out who sets what, and gives the flags what was not typed; without
// files the environment counts, as far as it is right.
func (c *command) configure(flags *pflag.FlagSet, files bool) error {
	layers := []config.Layer{typed(flags)}
	env, err := config.Environment(os.LookupEnv)
	if !files {
		return apply(config.Merge(append(layers, env)...), flags)
	}
	if err != nil {
		return settingsFault(err)
	}
	layers = append(layers, env)
	for _, f := range config.Files(c.file, os.LookupEnv) {
		layer, err := readSettings(f)
		if err != nil {
			return settingsFault(err)
		}
		layers = append(layers, layer)
	}
	site, err := c.siteSettings(config.Merge(layers...))
	if err != nil {
		return settingsFault(err)
	}
	c.settings = config.Merge(append(layers, site, config.Defaults())...)
	return apply(c.settings, flags)
}

// readSettings reads one file; one that is not there, and that nobody named, sets
// nothing.
func readSettings(f config.File) (config.Layer, error) {
	at := config.Origin{Source: f.Source, Name: f.Path}
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) && !f.Must {
		return nil, nil
	}
	if err != nil {
		return nil, &config.Error{Origin: at, What: "cannot read settings: " + cause(err), Next: "Check the path, and who may read it"}
	}
	defer file.Close()
	if st, err := file.Stat(); err == nil && st.IsDir() {
		return nil, &config.Error{Origin: at, What: "cannot read settings: it is a directory", Next: "Name a file"}
	}
	data, err := io.ReadAll(io.LimitReader(file, config.MaxFile+1))
	if err != nil {
		return nil, &config.Error{Origin: at, What: "cannot read settings: " + cause(err), Next: "Check the disk"}
	}
	return config.ParseYAML(data, at)
}

func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// siteSettings reads our properties from Hadoop's site files. Whether those can be
// read at all is the business of whoever needs the cluster.
func (c *command) siteSettings(so config.Resolved) (config.Layer, error) {
	define := map[string]string{}
	for _, e := range so.Of(config.HadoopKey) {
		define[e.Sub] = e.Text()
	}
	site, err := conf.Load(conf.Options{Overrides: define})
	if err != nil {
		return nil, nil
	}
	ours := map[string]string{}
	for k, v := range site.All() {
		if strings.HasPrefix(k, "yarnd.") {
			ours[k] = v
		}
	}
	origin := func(name string) string {
		o := site.Origin(name)
		if o == "override" {
			return "-D " + name
		}
		return o
	}
	layer, unknown, err := config.Properties(ours, origin)
	if so.Text("quiet") != "true" {
		for _, name := range unknown {
			near := config.Nearest(strings.TrimPrefix(name, "yarnd."))
			if near != "" {
				near = fmt.Sprintf("; is it yarnd.%s?", near)
			}
			c.progress("%s: %s is no setting of this version%s", origin(name), name, near)
		}
	}
	return layer, err
}

// settingsFault makes a usage error of what is wrong with a source of settings.
func settingsFault(err error) error {
	if e := (*config.Error)(nil); errors.As(err, &e) {
		return &edgeclient.Fault{Code: edgeclient.Usage, What: e.Problem(), Next: e.Next}
	}
	return err
}

// absolute is a path as somebody elsewhere would name it.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

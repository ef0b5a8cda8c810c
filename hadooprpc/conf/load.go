package conf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Options say where to load from. The zero value finds Hadoop's configuration
// as Hadoop's own commands do.
type Options struct {
	// Dirs are searched for each site file in this order instead of the
	// directories named by the environment.
	Dirs []string
	// Overrides replace what the files say, final or not.
	Overrides map[string]string
	// Env replaces os.LookupEnv, for tests and for processes that act for
	// another environment.
	Env func(string) (string, bool)
}

// siteFiles in the order of loading: a later file may override an earlier one.
var siteFiles = []string{"core-site.xml", "hdfs-site.xml", "yarn-site.xml", "mapred-site.xml"}

// Load finds and reads the site files. The error is a [*NotFoundError] when
// there is no configuration directory, a [*ParseError] when a file is not
// valid, and an [*ExpandError] when a value refers to itself.
func Load(opts Options) (*Conf, error) {
	c := newConf(opts.Env)
	dirs, variable := opts.Dirs, ""
	if dirs == nil {
		dirs, variable = c.findDirs()
	}
	p := parser{conf: c, classpath: dirs, finals: make(map[string]bool)}
	for _, name := range siteFiles {
		path, err := findFile(orderedFor(name, dirs, c.env), name)
		if err != nil {
			return nil, err
		}
		if path == "" {
			continue
		}
		if err := p.file(path); err != nil {
			return nil, err
		}
	}
	if len(p.conf.files) == 0 {
		return nil, &NotFoundError{Variable: variable, Tried: dirs}
	}
	c.override(opts.Overrides)
	return c, c.checkExpansion()
}

// findDirs returns the configuration directories that the environment names
// and the variable that named the first, or the usual places and "".
func (c *Conf) findDirs() (dirs []string, variable string) {
	for _, name := range []string{"HADOOP_CONF_DIR", "YARN_CONF_DIR"} {
		if dir, ok := c.env(name); ok && dir != "" {
			if variable == "" {
				variable = name
			}
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	if variable != "" {
		return dirs, variable
	}
	if home, ok := c.env("HADOOP_HOME"); ok && home != "" {
		dir := filepath.Join(home, "etc", "hadoop")
		if hasSiteFile(dir) {
			return []string{dir}, ""
		}
		dirs = append(dirs, dir)
	}
	return append(dirs, "/etc/hadoop/conf"), ""
}

// orderedFor puts YARN_CONF_DIR first for yarn-site.xml, as bin/yarn does.
func orderedFor(name string, dirs []string, env func(string) (string, bool)) []string {
	yarn, ok := env("YARN_CONF_DIR")
	i := slices.Index(dirs, yarn)
	if name != "yarn-site.xml" || !ok || i <= 0 {
		return dirs
	}
	return append([]string{yarn}, slices.Delete(slices.Clone(dirs), i, i+1)...)
}

// findFile returns the first of dirs that has the file, or "".
func findFile(dirs []string, name string) (string, error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", &ParseError{File: path, Err: err}
		}
	}
	return "", nil
}

func hasSiteFile(dir string) bool {
	for _, name := range siteFiles {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// checkExpansion refuses a configuration in which a value set by a file or an
// override cannot be expanded, so that the getters need no error for it.
func (c *Conf) checkExpansion() error {
	for key := range c.All() {
		if p := c.props[key]; p.origin != originDefault {
			if _, ok := c.expand(p.raw); !ok {
				return &ExpandError{Key: key, Value: p.raw, Origin: p.origin}
			}
		}
	}
	return nil
}

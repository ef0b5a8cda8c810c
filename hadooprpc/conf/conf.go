package conf

import (
	"cmp"
	"iter"
	"maps"
	"os"
	"os/user"
	"slices"
)

// Conf is a resolved configuration. It never changes after it was made and is
// safe for concurrent use.
type Conf struct {
	props map[string]property
	files []string
	env   func(string) (string, bool)
	sys   map[string]string
}

// property is a value as written, before expansion, with where it was written.
type property struct {
	raw    string
	origin string
}

const (
	originDefault  = "default"
	originOverride = "override"
)

// FromMap returns a configuration of the given values over the built-in
// defaults. The environment is visible to ${env.} as it is in [Load].
func FromMap(values map[string]string) *Conf {
	c := newConf(nil)
	c.override(values)
	return c
}

func newConf(env func(string) (string, bool)) *Conf {
	if env == nil {
		env = os.LookupEnv
	}
	c := &Conf{
		props: make(map[string]property, len(defaults)),
		env:   env,
		sys:   systemProperties(env),
	}
	for k, v := range defaults {
		c.props[k] = property{raw: v, origin: originDefault}
	}
	return c
}

// systemProperties stands in for the JVM's properties that site files refer to.
func systemProperties(env func(string) (string, bool)) map[string]string {
	p := map[string]string{"java.io.tmpdir": "/tmp"}
	if u, err := user.Current(); err == nil {
		p["user.name"], p["user.home"] = u.Username, u.HomeDir
	}
	if home, ok := env("HOME"); ok && p["user.home"] == "" {
		p["user.home"] = home
	}
	return p
}

// With returns a copy of the configuration in which the given values replace
// whatever was set before, final or not.
func (c *Conf) With(values map[string]string) *Conf {
	d := *c
	d.props = maps.Clone(c.props)
	d.override(values)
	return &d
}

func (c *Conf) override(values map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(values)) {
		c.props[successor(k)] = property{raw: values[k], origin: originOverride}
	}
}

// Files returns the site files that were read, includes among them, in the
// order of reading.
func (c *Conf) Files() []string { return slices.Clone(c.files) }

// Origin says who set a key: "file:line", "default", "override", or "" when it
// is not set.
func (c *Conf) Origin(key string) string {
	p, _ := c.lookup(key)
	return p.origin
}

// All yields every key that is set with its expanded value, sorted by key.
func (c *Conf) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.SortedFunc(maps.Keys(c.props), cmp.Compare[string]) {
			v, _ := c.Get(k)
			if !yield(k, v) {
				return
			}
		}
	}
}

func (c *Conf) lookup(key string) (property, bool) {
	p, ok := c.props[successor(key)]
	return p, ok
}

package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
)

// keyAnnotation on a flag names the setting that it is.
const keyAnnotation = "yarnd.setting"

// noSettings on a command says that it reads no settings, and why.
const noSettings = "yarnd.no-settings"

// setting defines the flag of a setting from the table; target says where its value
// goes.
func setting(f *pflag.FlagSet, key string, target any) {
	s := config.Must(key)
	name, short, help := s.Flag(), s.Short, s.Help
	switch t := target.(type) {
	case *int:
		n, _ := strconv.Atoi(s.Default)
		f.IntVarP(t, name, short, n, help)
	case *bool:
		f.BoolVarP(t, name, short, s.Default == "true", help)
	case *string:
		f.StringVarP(t, name, short, s.Default, help)
	case *time.Duration:
		d, _ := time.ParseDuration(s.Default)
		f.DurationVarP(t, name, short, d, help)
	case *[]string:
		if s.Kind.Shape == config.Map { // name=value, in which a comma means itself
			f.StringArrayVarP(t, name, short, nil, help)
		} else {
			f.StringSliceVarP(t, name, short, nil, help)
		}
	case pflag.Value:
		if s.Default != "" && t.Set(s.Default) != nil {
			panic("cli: the default of " + key + " is none")
		}
		f.VarP(t, name, short, help)
	default:
		panic(fmt.Sprintf("cli: no flag of a %T", target))
	}
	f.Lookup(name).Annotations = map[string][]string{keyAnnotation: {key}}
}

// requestFlags are the settings that make a request; without wait, all but how long to
// wait for it.
func requestFlags(f *pflag.FlagSet, r *edgeclient.Request, wait *string) {
	setting(f, "workers", &r.Workers)
	setting(f, "adapt", (*limits)(&r.Adapt))
	setting(f, "adapt-idle", &r.Adapt.Idle)
	for role, res := range map[string]*edgeclient.Resources{"worker": &r.Worker, "scheduler": &r.Scheduler, "am": &r.AM, "driver": &r.DriverSize} {
		setting(f, role+".vcores", (*cores)(&res.VCores))
		setting(f, role+".memory", (*size)(&res.Memory))
	}
	setting(f, "env", &r.Env)
	setting(f, "archives", &r.Archives)
	setting(f, "files", &r.Files)
	setting(f, "worker.max-per-node", &r.WorkersPerNode)
	setting(f, "worker.env", (*vars)(&r.EnvVars))
	setting(f, "worker.restarts", &r.Restarts)
	setting(f, "pools", (*pools)(&r.Pools))
	setting(f, "am.env", (*vars)(&r.AMEnv))
	setting(f, "am.label", &r.AMLabel)
	setting(f, "scheduler.label", &r.SchedulerLabel)
	setting(f, "bundle", &r.Bundle)
	setting(f, "name", &r.Name)
	setting(f, "queue", &r.Queue)
	setting(f, "tags", &r.Tags)
	setting(f, "priority", &r.Priority)
	setting(f, "node-label", &r.NodeLabel)
	setting(f, "max-attempts", &r.MaxAttempts)
	setting(f, "attempt-window", &r.AttemptWindow)
	setting(f, "idle-timeout", &r.IdleTimeout)
	setting(f, "keep-results", (*lasting)(&r.KeepResults))
	setting(f, "journal", (*off)(&r.NoJournal))
	setting(f, "view-acl", &r.ViewACL)
	setting(f, "modify-acl", &r.ModifyACL)
	setting(f, "submit-acl", &r.SubmitACL)
	setting(f, "port-range", (*ports)(&r.Ports))
	setting(f, "interface", &r.Interface)
	setting(f, "allow-ratio", &r.AllowRatio)
	setting(f, "strict", &r.Strict)
	setting(f, "file-systems", &r.FileSystems)
	if wait != nil {
		setting(f, "wait", wait)
	}
}

// lasting is a flag of a duration of which 0 has no end: it is kept as -1, since 0 is the default.
type lasting time.Duration

func (d *lasting) String() string { return time.Duration(max(0, *d)).String() }

func (d *lasting) Set(text string) error {
	n, err := time.ParseDuration(text)
	if err == nil && n < 0 {
		err = fmt.Errorf("%v is less than nothing", n)
	}
	if *d = lasting(n); n == 0 {
		*d = -1
	}
	return err
}

func (d *lasting) Type() string { return "duration" }

// off is a flag on or off, true when it is off.
type off bool

func (o *off) String() string {
	if *o {
		return "off"
	}
	return "on"
}

func (o *off) Set(text string) error {
	if text != "on" && text != "off" {
		return fmt.Errorf("%q is neither on nor off", text)
	}
	*o = text == "off"
	return nil
}

func (o *off) Type() string { return "on|off" }

// limits is a flag MIN:MAX.
type limits edgeclient.Limits

func (l *limits) String() string { return edgeclient.Limits(*l).String() }

func (l *limits) Set(text string) error {
	parsed, err := edgeclient.ParseLimits(text)
	l.Min, l.Max = parsed.Min, parsed.Max
	return err
}

func (l *limits) Type() string { return "MIN:MAX" }

// pools is a repeatable flag NAME=N|MIN:MAX,….
type pools []edgeclient.PoolRequest

func (p *pools) String() string {
	var s []string
	for _, x := range *p {
		s = append(s, x.Name+"="+x.String())
	}
	return strings.Join(s, " ")
}

func (p *pools) Set(text string) error {
	pool, err := edgeclient.ParsePool(text)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(*p, func(x edgeclient.PoolRequest) bool { return x.Name == pool.Name }); i >= 0 {
		(*p)[i] = pool
		return nil
	}
	*p = append(*p, pool)
	return nil
}

func (p *pools) Type() string { return "NAME=MIN:MAX,…" }

// ports is a flag LOW-HIGH.
type ports edgeclient.Ports

func (p *ports) String() string { return edgeclient.Ports(*p).String() }

func (p *ports) Set(text string) (err error) {
	p.Min, p.Max, err = config.ParsePorts(text)
	return err
}

func (p *ports) Type() string { return "LOW-HIGH" }

// isSetting tells whether a flag's name is that of a setting of submit's.
func isSetting(flag string) bool {
	return slices.ContainsFunc(config.Settings, func(s config.Setting) bool { return s.Flag() == flag && !s.Every })
}

// typed is the layer of the flags that were typed.
func typed(flags *pflag.FlagSet) config.Layer {
	var l config.Layer
	flags.Visit(func(f *pflag.Flag) {
		keys := f.Annotations[keyAnnotation]
		if keys == nil {
			return
		}
		s := config.Must(keys[0])
		o := config.Origin{Source: config.FromFlag, Name: "--" + f.Name}
		switch v := f.Value.(type) {
		case *vars:
			for name, value := range *v {
				l = append(l, config.Entry{Key: s.Key, Sub: name, Values: []string{value}, Origin: o})
			}
		case *pools:
			for _, p := range *v {
				l = append(l, config.Entry{Key: s.Key, Sub: p.Name, Values: []string{p.String()}, Origin: o})
			}
		case pflag.SliceValue:
			l = append(l, typedList(s, v.GetSlice(), o)...)
		default:
			l = append(l, config.Entry{Key: s.Key, Values: []string{f.Value.String()}, Origin: o})
		}
	})
	return l
}

func typedList(s *config.Setting, values []string, o config.Origin) config.Layer {
	if s.Kind.Shape != config.Map {
		return config.Layer{{Key: s.Key, Values: values, Origin: o}}
	}
	var l config.Layer
	for _, v := range slices.Backward(values) { // of one name twice the last counts
		if name, value, ok := strings.Cut(v, "="); ok {
			l = append(l, config.Entry{Key: s.Key, Sub: name, Values: []string{value}, Origin: o})
		}
	}
	return l
}

// apply gives the command's flags what was not typed.
func apply(r config.Resolved, flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		keys := f.Annotations[keyAnnotation]
		if keys == nil {
			return
		}
		for _, e := range r.Of(keys[0]) {
			if e.Origin.Source == config.FromFlag || e.Origin.Source == config.FromDefault || err != nil {
				continue
			}
			if e := set(f, e); e != nil {
				err = e
			}
		}
	})
	return err
}

func set(f *pflag.Flag, e config.Entry) error {
	var err error
	list, isList := f.Value.(pflag.SliceValue)
	switch {
	case e.Sub != "":
		err = f.Value.Set(e.Sub + "=" + e.Text())
	case isList:
		err = list.Replace(e.Values)
	default:
		err = f.Value.Set(e.Text())
	}
	if err != nil { // the table takes what the flag does not
		return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%s: %s: %v", e.Origin, e.FullKey(), err), Next: "Correct it"}
	}
	return nil
}

package nm

import (
	"slices"
	"strings"
)

// Expand replaces what YARN expands in commands and environment values, whatever stands around it: <LOG_DIR> by the
// container's log directory, <CPS> by the class path separator, {{NAME}} by $NAME, and <ADD_OPENS> by nothing, as for
// a Java that needs no such options. Everything else, quotes and dollars included, stays as it is: the shell sees it.
//
// Source: ContainerLaunch.expandEnvironment (3.4.2).
func Expand(s, logDir string) string {
	s = strings.ReplaceAll(s, "<LOG_DIR>", logDir)
	s = strings.ReplaceAll(s, "<CPS>", ":")
	s = strings.ReplaceAll(s, "<ADD_OPENS>", "")
	s = strings.ReplaceAll(s, "{{", "$")
	return strings.ReplaceAll(s, "}}", "")
}

// variable is one of the environment's.
type variable struct{ name, value string }

// environment is a container's, in the order in which it was put together; a later value takes an earlier one's place.
type environment struct {
	vars []variable
	// own counts the variables at the front of Script that the NodeManager itself sets and no container can change.
	own map[string]bool
}

func (e *environment) set(name, value string) {
	for i := range e.vars {
		if e.vars[i].name == name {
			e.vars[i].value = value
			return
		}
	}
	e.vars = append(e.vars, variable{name, value})
}

// setOwn sets a variable that containers cannot change. They are written in the order in which they were first set.
func (e *environment) setOwn(name, value string) {
	e.vars = slices.DeleteFunc(e.vars, func(v variable) bool { return v.name == name })
	e.vars = append(e.vars, variable{name, value})
	if e.own == nil {
		e.own = map[string]bool{}
	}
	e.own[name] = true
}

func (e *environment) has(name string) bool {
	return slices.ContainsFunc(e.vars, func(v variable) bool { return v.name == name })
}

// list is the environment as KEY=value, values as they are: what the launch script's shell is started with.
func (e *environment) list() []string {
	out := make([]string, 0, len(e.vars))
	for _, v := range e.vars {
		out = append(out, v.name+"="+v.value)
	}
	return out
}

// ordered returns the NodeManager's own variables, then the others so that a variable comes after those that its
// value mentions. Source: ContainerLaunch.ShellScriptBuilder.orderEnvByDependencies.
func (e *environment) ordered() []variable {
	var out []variable
	for _, v := range e.vars {
		if e.own[v.name] {
			out = append(out, v)
		}
	}
	byName := map[string]string{}
	for _, v := range e.vars {
		byName[v.name] = v.value
	}
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		value, ok := byName[name]
		if !ok || seen[name] || e.own[name] {
			return
		}
		seen[name] = true
		for _, dep := range mentioned(value) {
			visit(dep)
		}
		out = append(out, variable{name, value})
	}
	for _, v := range e.vars {
		visit(v.name)
	}
	return out
}

// mentioned lists the variables in a value, as $NAME, ${NAME or ${#NAME, that bash would expand: not in single quotes,
// not after a backslash. Source: UnixShellScriptBuilder.getEnvDependencies.
func mentioned(value string) []string {
	var names []string
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '\'':
			n := strings.IndexByte(value[i+1:], '\'')
			if n < 0 {
				return names
			}
			i += n + 1
		case '$':
			rest := strings.TrimPrefix(strings.TrimPrefix(value[i+1:], "{"), "#")
			n := 0
			for n < len(rest) && nameByte(rest[n], n == 0) {
				n++
			}
			if n > 0 {
				names = append(names, rest[:n])
			}
		}
	}
	return names
}

func nameByte(c byte, first bool) bool {
	return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || !first && c >= '0' && c <= '9'
}

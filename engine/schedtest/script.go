package schedtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/yarnd/yarnd/engine/graph"
)

// A script is a list of actions as text, one a line:
//
//	# what it is about
//	config maxprefill=2 heal=17
//	join m=1 w=1 slots=2
//	open j=1
//	class j=1 does=ok size=100
//	submit j=1 0=0 1=0(1.0)~ 2=0(1.0,1.1)@1,2
//	range j=1 n=5 3=0
//	turn
//	down w=1 n=1
//	cut w=1 how=late
//
// Keys that are left out are 0, no, or nothing. In a submit, task 2=0(1.0,1.1)@1,2 is
// the second of class 0, depends on tasks 0 and 1 of job 1, and has its input on hosts
// 1 and 2; one with ~ is loose. The range is tasks 3 to 7.

// FormatScript writes actions down.
func FormatScript(actions []Action) string {
	var b strings.Builder
	for i := range actions {
		b.WriteString(actions[i].String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String returns the action as a line of a script.
func (a *Action) String() string {
	var b strings.Builder
	f := opFields[a.Op]
	b.WriteString(f.word)
	for _, key := range strings.Fields(f.keys) {
		switch key {
		case "tasks":
			for _, t := range a.Tasks {
				b.WriteString(" " + t.String())
			}
		case "names":
			for _, n := range a.Names {
				b.WriteString(" " + n.String())
			}
		default:
			if v := a.get(key); v != "" && v != "0" {
				b.WriteString(" " + key + "=" + v)
			}
		}
	}
	return b.String()
}

// ParseScript reads what FormatScript wrote.
func ParseScript(text string) (actions []Action, err error) {
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		a, err := parseAction(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n+1, strings.TrimSpace(line), err)
		}
		actions = append(actions, a)
	}
	return actions, nil
}

func parseAction(words []string) (a Action, err error) {
	op := slices.IndexFunc(opFields[:], func(f struct{ word, keys string }) bool { return f.word == words[0] })
	if op < 0 {
		return a, fmt.Errorf("there is no such action")
	}
	a.Op = Op(op)
	if a.Op == OpClass {
		a.Class = &behaviour{does: "ok"}
	}
	keys := strings.Fields(opFields[op].keys)
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case slices.Contains(keys, key):
			err = a.set(key, value)
		case slices.Contains(keys, "tasks"):
			var t taskSpec
			t, err = parseTask(word)
			a.Tasks = append(a.Tasks, t)
		case slices.Contains(keys, "names"):
			var n Name
			n, err = parseName(word)
			a.Names = append(a.Names, n)
		default:
			err = fmt.Errorf("it takes no %s", key)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// String returns the name as JOB.TASK.
func (n Name) String() string { return fmt.Sprintf("%d.%d", n.Job, n.Task) }

func parseName(s string) (n Name, err error) {
	job, task, ok := strings.Cut(s, ".")
	if n.Job, err = strconv.Atoi(job); err == nil {
		n.Task, err = strconv.Atoi(task)
	}
	if !ok || err != nil {
		return n, fmt.Errorf("%q names no task: JOB.TASK does", s)
	}
	return n, nil
}

// String returns the task as TASK=CLASS(DEP,DEP)@HOST,HOST~.
func (t *taskSpec) String() string {
	s := fmt.Sprintf("%d=%d", t.Task, t.Class)
	if len(t.Deps) > 0 {
		var names []string
		for _, d := range t.Deps {
			names = append(names, d.String())
		}
		s += "(" + strings.Join(names, ",") + ")"
	}
	if len(t.Hosts) > 0 {
		s += "@" + strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Hosts), " ", ","), "[]")
	}
	if t.Loose {
		s += "~"
	}
	return s
}

func parseTask(s string) (t taskSpec, err error) {
	bad := fmt.Errorf("%q is no task: TASK=CLASS(JOB.TASK,…)@HOST,…~ is", s)
	s, t.Loose = strings.CutSuffix(s, "~")
	s, hosts, hosted := strings.Cut(s, "@")
	s, deps, has := strings.Cut(s, "(")
	if has {
		for _, d := range strings.Split(strings.TrimSuffix(deps, ")"), ",") {
			n, err := parseName(d)
			if err != nil {
				return t, err
			}
			t.Deps = append(t.Deps, n)
		}
	}
	if hosted {
		for _, h := range strings.Split(hosts, ",") {
			n, err := strconv.Atoi(h)
			if err != nil {
				return t, bad
			}
			t.Hosts = append(t.Hosts, n)
		}
	}
	task, class, ok := strings.Cut(s, "=")
	if t.Task, err = strconv.Atoi(task); err == nil {
		t.Class, err = strconv.Atoi(class)
	}
	if !ok || err != nil {
		return t, bad
	}
	return t, nil
}

// ints are the fields that are numbers, by key.
func (a *Action) ints() map[string]any {
	m := map[string]any{
		"m": &a.M, "w": &a.W, "j": &a.J, "n": &a.N, "host": &a.Host, "slots": &a.Slots, "mem": &a.Mem,
		"needs": &a.Needs, "gpus": &a.GPUs,
		"prefill": &a.Conf.Prefill, "maxprefill": &a.Conf.MaxPrefill, "localitywait": &a.Conf.LocalityWait,
		"copytimeout": &a.Conf.CopyTimeout, "fetches": &a.Conf.Fetches, "heal": &a.Conf.Heal,
	}
	if b := a.Class; b != nil {
		m["size"], m["micros"], m["priority"], m["slots"] = &b.size, &b.micros, &b.class.Priority, &b.class.Resources.Slots
		m["needs"], m["gpus"], m["only"] = &b.class.Resources.Memory, &b.gpus, &b.only
		m["retries"], m["deaths"], m["kind"] = &b.class.Retries, &b.class.Deaths, &b.class.Kind
	}
	return m
}

// text is the field that is a word, by key; nil if it is none.
func (a *Action) text(key string) *string {
	switch {
	case key == "how":
		return &a.How
	case key == "pool" && a.Class != nil:
		return &a.Class.class.Pool
	case key == "pool":
		return &a.Pool
	case key == "does":
		return &a.Class.does
	}
	return nil
}

// flag is the field that is yes or no, by key; nil if it is none.
func (a *Action) flag(key string) *bool {
	switch key {
	case "inline":
		return &a.Class.inline
	case "twice":
		return &a.Class.class.Idempotent
	case "actor":
		return &a.Class.class.Actor
	case "retry":
		return &a.Conf.Retry
	}
	return nil
}

func (a *Action) get(key string) string {
	if s := a.text(key); s != nil {
		return *s
	}
	if b := a.flag(key); b != nil {
		if *b {
			return "yes"
		}
		return ""
	}
	switch p := a.ints()[key].(type) {
	case *int:
		return strconv.Itoa(*p)
	case *int64:
		return strconv.FormatInt(*p, 10)
	case *int32:
		return strconv.Itoa(int(*p))
	case *uint64:
		return strconv.FormatUint(*p, 10)
	case *uint32:
		return strconv.Itoa(int(*p))
	case *uint16:
		return strconv.Itoa(int(*p))
	case *graph.Kind:
		return strconv.Itoa(int(*p))
	}
	panic("schedtest: no field " + key)
}

func (a *Action) set(key, value string) error {
	if s := a.text(key); s != nil {
		*s = value
		return nil
	}
	if b := a.flag(key); b != nil {
		*b = value == "yes"
		return nil
	}
	signed, err := strconv.ParseInt(value, 10, 64)
	unsigned, _ := strconv.ParseUint(value, 10, 64)
	if err != nil && unsigned == 0 {
		return fmt.Errorf("%s is a number, not %q", key, value)
	}
	switch p := a.ints()[key].(type) {
	case *int:
		*p = int(signed)
	case *int64:
		*p = signed
	case *int32:
		*p = int32(signed)
	case *uint64:
		*p = unsigned
	case *uint32:
		*p = uint32(signed)
	case *uint16:
		*p = uint16(signed)
	case *graph.Kind:
		*p = graph.Kind(signed)
	}
	return nil
}

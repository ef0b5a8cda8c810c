package config

import (
	"cmp"
	"fmt"
	"slices"
)

// Source is a place where settings come from. A lower one wins.
type Source int

// The sources, in the order of their precedence.
const (
	FromFlag Source = iota
	FromEnv
	FromGiven   // the file of -f
	FromHere    // ./yarnd.yaml
	FromUser    // the user's file
	FromSystem  // the system's file
	FromHadoop  // a property of Hadoop's site files
	FromDefault // the table
)

// Origin says who set a value.
type Origin struct {
	Source Source
	Name   string // the flag, the variable, the path of the file
	Line   int    // of a file of ours; 0 is none
}

// String is how people are told: "--queue", "YARND_QUEUE", "yarnd.yaml:3".
func (o Origin) String() string {
	switch {
	case o.Source == FromDefault:
		return "default"
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	}
	return o.Name
}

// Entry is one value of one source.
type Entry struct {
	Key string // of the table
	// Sub is the name within a setting that is a map, "" for others.
	Sub string
	// Values are those of a list, else exactly one.
	Values []string
	Origin Origin
}

// Text returns the value of an entry that has one.
func (e Entry) Text() string {
	if len(e.Values) != 1 {
		return ""
	}
	return e.Values[0]
}

// Layer is what one source sets, with at most one entry for each Key and Sub.
type Layer []Entry

// Resolved is what holds when all layers are seen.
type Resolved struct {
	entries []Entry // in the order of the table, then of Sub
}

// Merge lets the first layer that has an entry win.
func Merge(layers ...Layer) Resolved {
	type id struct{ key, sub string }
	order := map[string]int{}
	for i := range Settings {
		order[Settings[i].Key] = i
	}
	taken := map[id]bool{}
	var r Resolved
	for _, l := range layers {
		for _, e := range l {
			k := id{e.Key, e.Sub}
			if _, known := order[e.Key]; known && !taken[k] {
				taken[k] = true
				r.entries = append(r.entries, e)
			}
		}
	}
	slices.SortFunc(r.entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(order[a.Key], order[b.Key]), cmp.Compare(a.Sub, b.Sub))
	})
	return r
}

// All returns all entries in the order of the table.
func (r Resolved) All() []Entry { return slices.Clone(r.entries) }

// Of returns the entries of a key: one, or one for each name of a map, or none.
func (r Resolved) Of(key string) []Entry {
	var out []Entry
	for _, e := range r.entries {
		if e.Key == key {
			out = append(out, e)
		}
	}
	return out
}

// Text returns the value of a key that has one, else "".
func (r Resolved) Text(key string) string {
	for _, e := range r.entries {
		if e.Key == key {
			return e.Text()
		}
	}
	return ""
}

// Defaults is the last layer.
func Defaults() Layer {
	var l Layer
	for i := range Settings {
		if s := &Settings[i]; s.Default != "" {
			l = append(l, Entry{Key: s.Key, Values: []string{s.Default}, Origin: Origin{Source: FromDefault}})
		}
	}
	return l
}

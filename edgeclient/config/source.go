package config

import (
	"encoding/csv"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Text makes entries of a text as the environment and Hadoop's files have it: a list
// is separated by commas, a map has one NAME=VALUE a line.
func Text(s *Setting, text string, o Origin) (Layer, error) {
	switch s.Kind.Shape {
	case List:
		values, err := csv.NewReader(strings.NewReader(text)).Read()
		if err != nil {
			return nil, wrong(s, o, "no list", fmt.Errorf("no list separated by commas"))
		}
		for _, v := range values {
			if err := s.Kind.Check(v); err != nil {
				return nil, wrong(s, o, fmt.Sprintf("%q", v), err)
			}
		}
		return Layer{{Key: s.Key, Values: values, Origin: o}}, nil
	case Map:
		var l Layer
		for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
			name, value, ok := strings.Cut(line, "=")
			if !ok || !s.Kind.name.MatchString(name) {
				return nil, &Error{Origin: o, What: s.Key + " is not NAME=VALUE", Next: "Write one NAME=VALUE a line"}
			}
			l = append(l, Entry{Key: s.Key, Sub: name, Values: []string{value}, Origin: o})
		}
		return l, nil
	case Scalar:
	}
	if err := s.Kind.Check(text); err != nil {
		return nil, wrong(s, o, fmt.Sprintf("%q", text), err)
	}
	return Layer{{Key: s.Key, Values: []string{text}, Origin: o}}, nil
}

// Environment reads the variables of the table. An empty one counts as not set.
func Environment(lookup func(string) (string, bool)) (Layer, error) {
	var l Layer
	for i := range Settings {
		s := &Settings[i]
		text, ok := lookup(s.Env())
		if !ok || text == "" {
			continue
		}
		more, err := Text(s, text, Origin{Source: FromEnv, Name: s.Env()})
		if err != nil {
			return nil, err
		}
		l = append(l, more...)
	}
	return l, nil
}

// Properties reads those of Hadoop's properties that are ours. Unknown ones are
// told, not refused: an administrator's file serves several versions of this program.
func Properties(all map[string]string, origin func(string) string) (l Layer, unknown []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		key, ours := strings.CutPrefix(name, propertyPrefix)
		if !ours || all[name] == "" {
			continue
		}
		o := Origin{Source: FromHadoop, Name: origin(name)}
		s, sub := Lookup(key), ""
		if parent, rest, ok := mapOf(key); ok {
			s, sub = parent, rest
		}
		if s == nil || s.Property() == "" || s.Kind.Shape == Map && sub == "" {
			unknown = append(unknown, name)
			continue
		}
		text := all[name]
		if sub != "" {
			text = sub + "=" + text
		}
		more, err := Text(s, text, o)
		if err != nil {
			return nil, nil, err
		}
		l = append(l, more...)
	}
	return l, unknown, nil
}

// mapOf splits worker.env.NAME.
func mapOf(key string) (s *Setting, sub string, ok bool) {
	for i := range Settings {
		if s := &Settings[i]; s.Kind.Shape == Map && strings.HasPrefix(key, s.Key+".") {
			return s, key[len(s.Key)+1:], true
		}
	}
	return nil, "", false
}

// File is a place where settings are looked for.
type File struct {
	Source Source
	Path   string
	// Must says that somebody named it, so that its absence is an error.
	Must bool
}

// FileName is the name of a file of settings.
const FileName = "yarnd.yaml"

// Files are the places in the order of precedence; given is the file of -f, "" for
// none. A user without a home directory has no file.
func Files(given string, lookup func(string) (string, bool)) []File {
	var out []File
	if given != "" {
		out = append(out, File{FromGiven, given, true})
	}
	out = append(out, File{FromHere, FileName, false})
	// The XDG specification: a path that is not absolute does not count.
	if base, ok := lookup("XDG_CONFIG_HOME"); ok && path.IsAbs(base) {
		out = append(out, File{FromUser, path.Join(base, "yarnd", FileName), false})
	} else if home, ok := lookup("HOME"); ok && home != "" {
		out = append(out, File{FromUser, path.Join(home, ".config", "yarnd", FileName), false})
	}
	return append(out, File{FromSystem, path.Join("/etc/yarnd", FileName), false})
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxFile bounds a file of settings, in bytes.
const MaxFile = 1 << 20

// ParseYAML reads a file of settings. Every error is an [*Error] that names the file
// and, where there is one, the line.
func ParseYAML(data []byte, at Origin) (Layer, error) {
	p := &parser{at: at, seen: map[string]int{}}
	if len(data) > MaxFile {
		return nil, p.fail(nil, fmt.Sprintf("the file is larger than %s", FormatBytes(MaxFile)), "Name a file of settings")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil // empty, or comments alone
	case err != nil:
		return nil, p.syntax(err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, p.syntax(err)
		}
		return nil, p.fail(&second, "there is a second document", "Keep one document in a file")
	}
	root := follow(doc.Content[0])
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, p.fail(root, "the file is no map of settings", "Write lines such as  workers: 4")
	}
	if err := p.section(root, ""); err != nil {
		return nil, err
	}
	return p.layer, nil
}

type parser struct {
	at    Origin
	layer Layer
	seen  map[string]int // lines of keys
}

func (p *parser) origin(n *yaml.Node) Origin {
	o := p.at
	if n != nil {
		o.Line = n.Line
	}
	return o
}

func (p *parser) fail(n *yaml.Node, what, next string) error {
	return &Error{Origin: p.origin(n), What: what, Next: next}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax takes the line out of the library's message.
func (p *parser) syntax(err error) error {
	o := p.at
	m := yamlLine.FindStringSubmatch(err.Error())
	what := err.Error()
	if m != nil {
		o.Line, _ = strconv.Atoi(m[1])
		what = strings.TrimPrefix(what, m[0])
	}
	return &Error{Origin: o, What: "no YAML: " + what, Next: "Correct the file"}
}

// follow returns what an alias stands for. An alias cannot stand for an alias.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// section reads the keys of a map below a level, "" for the file's own. Levels are
// those of the table, so the recursion is as deep as they are.
func (p *parser) section(m *yaml.Node, level string) error {
	for i := 0; i+1 < len(m.Content); i += 2 {
		name, value := m.Content[i], follow(m.Content[i+1])
		if name.Kind != yaml.ScalarNode {
			return p.fail(name, "a key is no text", "Write lines such as  workers: 4")
		}
		key := name.Value
		if level != "" {
			key = level + "." + key
		}
		s := Lookup(key)
		if s == nil && !slices.Contains(sections(), key) {
			return unknown(p.origin(name), key)
		}
		if first, twice := p.seen[key]; twice {
			return p.fail(name, fmt.Sprintf("%s is there twice, first in line %d", key, first), "Keep one of them")
		}
		p.seen[key] = name.Line
		var err error
		switch {
		case s != nil:
			err = p.setting(s, name, value)
		case value.Kind != yaml.MappingNode:
			err = p.fail(name, fmt.Sprintf("%s is %s", key, describe(value)), key+" must be a map, with lines such as  memory: 2GiB  below it")
		default:
			err = p.section(value, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) setting(s *Setting, name, value *yaml.Node) error {
	o := p.origin(name)
	if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
		return &Error{Origin: o, What: s.Key + " has no value", Next: "Give it one, or remove the line"}
	}
	switch s.Kind.Shape {
	case List:
		return p.list(s, o, value)
	case Map:
		return p.table(s, o, value)
	case Scalar:
	}
	text, err := p.scalar(s, o, value)
	if err == nil {
		p.layer = append(p.layer, Entry{Key: s.Key, Values: []string{text}, Origin: o})
	}
	return err
}

func (p *parser) list(s *Setting, o Origin, value *yaml.Node) error {
	if value.Kind != yaml.SequenceNode {
		return wrong(s, o, describe(value), nil)
	}
	e := Entry{Key: s.Key, Values: []string{}, Origin: o}
	for _, item := range value.Content {
		at := o
		at.Line = item.Line
		text, err := p.scalar(s, at, follow(item))
		if err != nil {
			return err
		}
		e.Values = append(e.Values, text)
	}
	p.layer = append(p.layer, e)
	return nil
}

func (p *parser) table(s *Setting, o Origin, value *yaml.Node) error {
	if value.Kind != yaml.MappingNode {
		return wrong(s, o, describe(value), nil)
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		name, v := value.Content[i], follow(value.Content[i+1])
		at := p.origin(name)
		key := s.Key + "." + name.Value
		if name.Kind != yaml.ScalarNode || !s.Kind.name.MatchString(name.Value) {
			return &Error{Origin: at, What: fmt.Sprintf("%q cannot be a name in %s", name.Value, s.Key), Next: fmt.Sprintf("%s must be %s", s.Key, s.Kind.Want)}
		}
		if first, twice := p.seen[key]; twice {
			return &Error{Origin: at, What: fmt.Sprintf("%s is there twice, first in line %d", key, first), Next: "Keep one of them"}
		}
		p.seen[key] = name.Line
		text, err := p.scalar(s, at, v)
		if err != nil {
			return err
		}
		p.layer = append(p.layer, Entry{Key: s.Key, Sub: name.Value, Values: []string{text}, Origin: at})
	}
	return nil
}

// scalar returns the text of one value, of a type and in a range that the setting
// takes. Text and number are told apart: a queue called 5 is written "5".
func (p *parser) scalar(s *Setting, o Origin, n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && !slices.Contains(s.Kind.tags, n.Tag) {
		err := wrong(s, o, describe(n), nil)
		if e := (*Error)(nil); errors.As(err, &e) && n.Kind == yaml.ScalarNode && n.Tag != "!!null" && s.Kind.tags == nil {
			e.Next = fmt.Sprintf("Write it in quotes: %q", n.Value)
		}
		return "", err
	}
	if n.Tag == "!!str" && (s.Kind.Name == boolean.Name || s.Kind.Name == "number") {
		return "", wrong(s, o, describe(n), nil)
	}
	if err := s.Kind.Check(n.Value); err != nil {
		got := strconv.Quote(n.Value)
		if s.Kind.Shape == Map {
			got = "something that no process can be given"
		}
		return "", wrong(s, o, got, err)
	}
	return n.Value, nil
}

// describe says what stands in a file, by type alone: it may be a secret.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a map"
	}
	switch n.Tag {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "something else"
}

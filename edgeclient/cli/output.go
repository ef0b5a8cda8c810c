package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
)

// apiVersion is in every JSON and YAML list. It changes when a field changes its
// meaning or goes; a new field does not change it.
const apiVersion = "yarnd/v1"

var outputs = config.Outputs

// listing is a list of items of one kind and the ways to show it.
type listing[T any] struct {
	kind    string // of the list, in JSON: "ApplicationList"
	columns []column[T]
	name    func(T) string // for -o name
	items   []T
}

// column shows one property of an item.
type column[T any] struct {
	title string
	wide  bool // only with -o wide
	value func(T) string
}

// document is the JSON and YAML form.
type document[T any] struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Items      []T    `json:"items"`
}

func (l listing[T]) write(w io.Writer, format string) error {
	switch format {
	case "", "table", "wide":
		return l.table(w, format == "wide")
	case "name":
		for _, it := range l.items {
			if _, err := fmt.Fprintln(w, l.name(it)); err != nil {
				return err
			}
		}
		return nil
	case "jsonl":
		enc := json.NewEncoder(w)
		for _, it := range l.items {
			if err := enc.Encode(it); err != nil {
				return err
			}
		}
		return nil
	case "json", "yaml":
		items := l.items
		if items == nil {
			items = []T{}
		}
		return writeDocument(w, format, document[T]{apiVersion, l.kind, items})
	}
	return checkOutput(format)
}

func checkOutput(format string) error {
	if format == "" || slices.Contains(outputs, format) {
		return nil
	}
	return &edgeclient.Fault{Code: edgeclient.Usage,
		What: fmt.Sprintf("unknown output format %q", format),
		Next: "Use -o " + strings.Join(outputs, "|")}
}

func (l listing[T]) table(w io.Writer, wide bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var row []string
	shown := slices.DeleteFunc(slices.Clone(l.columns), func(c column[T]) bool { return c.wide && !wide })
	for _, c := range shown {
		row = append(row, c.title)
	}
	fmt.Fprintln(tw, strings.Join(row, "\t"))
	for _, it := range l.items {
		row = row[:0]
		for _, c := range shown {
			row = append(row, printable(c.value(it)))
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// writeDocument writes v as JSON, or as YAML with the same keys in the same
// order of meaning.
func writeDocument(w io.Writer, format string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if format == "yaml" {
		var node yaml.Node // JSON is YAML: this keeps the order of keys
		if err := yaml.Unmarshal(text, &node); err != nil {
			return err
		}
		blockStyle(&node)
		enc := yaml.NewEncoder(w)
		enc.SetIndent(2)
		defer enc.Close()
		return enc.Encode(&node)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// printableLines is printable for text that may have several lines, such as the end of
// a log. All but the first are indented: what a log says cannot pass for yarnd's own
// words.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n    ")
}

// printable makes text from elsewhere safe for a terminal and for a table:
// control characters, escapes and tabs are shown quoted.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }) < 0 {
		return s
	}
	q := fmt.Sprintf("%q", s)
	return q[1 : len(q)-1]
}

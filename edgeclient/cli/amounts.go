package cli

import "github.com/yarnd/yarnd/engine/graph"

// amounts is a flag with amounts of named resources; those of several are added up.
type amounts graph.Amounts

// String implements pflag.Value.
func (a *amounts) String() string { return graph.Amounts(*a).String() }

// Set implements pflag.Value.
func (a *amounts) Set(text string) error {
	more, err := graph.ParseAmounts(text)
	if err == nil {
		*a = amounts(append(graph.Amounts(*a), more...).Canonical())
	}
	return err
}

// Type implements pflag.Value.
func (a *amounts) Type() string { return "name=count" }

package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/edgeclient/config"
)

// vars is a repeatable flag NAME=VALUE. Everything after the first "=" is the
// value, commas and quotes too.
type vars map[string]string

func (v *vars) String() string {
	var s []string
	for _, k := range slices.Sorted(maps.Keys(*v)) {
		s = append(s, k+"="+(*v)[k])
	}
	return strings.Join(s, " ")
}

func (v *vars) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not NAME=VALUE", text)
	}
	if err := config.Must("worker.env").Kind.CheckName(name); err != nil {
		return fmt.Errorf("%q is no name for an environment variable", name)
	}
	if *v == nil {
		*v = vars{}
	}
	(*v)[name] = value
	return nil
}

func (v *vars) Type() string { return "NAME=VALUE" }

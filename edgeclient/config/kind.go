package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shape is how many values a setting has.
type Shape int

// The shapes of settings.
const (
	Scalar Shape = iota // one
	List                // several, in order
	Map                 // names with a value each
)

// Kind is what a setting's values are. Its texts are those of flags.
type Kind struct {
	Name  string // for people and the manual: "size"
	Shape Shape
	// Want completes "must be …".
	Want string
	// tags are the types that YAML may see in a value, beside text.
	tags []string
	// check judges one value; nil takes every text.
	check func(text string) error
	// name judges the names of a map.
	name *regexp.Regexp
}

// errWant stands for "is not what Kind.Want says".
var errWant = errors.New("is something else")

// Check judges one value, of a list or a map one of its values.
func (k Kind) Check(text string) error {
	if k.check == nil {
		return nil
	}
	return k.check(text)
}

// CheckName judges a name of a map.
func (k Kind) CheckName(name string) error {
	if k.name == nil || !k.name.MatchString(name) {
		return errWant
	}
	return nil
}

func number(low, high int) Kind {
	return Kind{Name: "number", Want: fmt.Sprintf("a whole number from %d to %d", low, high), tags: []string{"!!int"}, check: func(text string) error {
		if n, err := strconv.Atoi(text); err != nil || n < low || n > high {
			return errWant
		}
		return nil
	}}
}

func size(low, high int64) Kind {
	return Kind{Name: "size", Want: fmt.Sprintf("a size from %s to %s, such as 512MiB or 4GiB", FormatBytes(low), FormatBytes(high)), tags: []string{"!!int"}, check: func(text string) error {
		n, err := ParseBytes(text)
		if err == nil && (n < low || n > high) {
			err = errWant
		}
		return err
	}}
}

var duration = Kind{Name: "duration", Want: "a duration of 0 or more, such as 30s, 10m or 2h", tags: []string{"!!int"}, check: func(text string) error {
	if d, err := time.ParseDuration(text); err != nil || d < 0 {
		return errWant
	}
	return nil
}}

var boolean = Kind{Name: "yes or no", Want: "true or false", tags: []string{"!!bool"}, check: func(text string) error {
	if _, err := strconv.ParseBool(text); err != nil {
		return errWant
	}
	return nil
}}

// text is a line that matches a pattern, "" any line.
func text(want, pattern string) Kind {
	return Kind{Name: "text", Want: want, check: matches(pattern)}
}

func list(want, pattern string) Kind {
	return Kind{Name: "list", Shape: List, Want: want, check: matches(pattern)}
}

func matches(pattern string) func(string) error {
	rule := regexp.MustCompile(pattern)
	return func(s string) error {
		if !rule.MatchString(s) || strings.ContainsRune(s, 0) {
			return errWant
		}
		return nil
	}
}

// table is a map from names that match a pattern to any text.
func table(want, names string) Kind {
	return Kind{Name: "map", Shape: Map, Want: want, name: regexp.MustCompile(names), tags: []string{"!!int", "!!float", "!!bool"},
		check: matches(`^[^\x00]*$`)}
}

func choice(values ...string) Kind {
	return Kind{Name: "choice", Want: "one of " + strings.Join(values, ", "), check: func(s string) error {
		if !slices.Contains(values, s) {
			return errWant
		}
		return nil
	}}
}

var limits = Kind{Name: "limits", Want: fmt.Sprintf("MIN:MAX, two numbers of workers in order from 0 to %d", MaxWorkers), check: func(s string) error {
	_, _, err := ParseLimits(s)
	return err
}}

// ParseLimits reads limits MIN:MAX of a number of workers.
func ParseLimits(s string) (least, most int, err error) {
	a, b, ok := strings.Cut(s, ":")
	least, errLeast := strconv.Atoi(strings.TrimSpace(a))
	most, errMost := strconv.Atoi(strings.TrimSpace(b))
	switch {
	case !ok || errLeast != nil || errMost != nil:
		err = fmt.Errorf("%q is no minimum and maximum of workers: write it like 0:20", s)
	case least < 0 || most > MaxWorkers:
		err = fmt.Errorf("the limits %s are not within 0 to %d", s, MaxWorkers)
	case least > most:
		err = fmt.Errorf("the limits %s have a minimum above the maximum", s)
	case most == 0:
		err = errors.New("with a maximum of 0 there would never be a worker")
	}
	return least, most, err
}

var portRange = Kind{Name: "ports", Want: fmt.Sprintf("LOW-HIGH, at least %d ports from %d to %d", MinPorts, MinPort, MaxPort), check: func(s string) error {
	_, _, err := ParsePorts(s)
	return err
}}

// ParsePorts reads a range of ports LOW-HIGH, both included.
func ParsePorts(s string) (low, high int, err error) {
	a, b, ok := strings.Cut(s, "-")
	low, errLow := strconv.Atoi(strings.TrimSpace(a))
	high, errHigh := strconv.Atoi(strings.TrimSpace(b))
	switch {
	case !ok || errLow != nil || errHigh != nil:
		err = fmt.Errorf("%q is no range of ports: write it like 40000-40100", s)
	case low < MinPort || high > MaxPort:
		err = fmt.Errorf("the ports %s are not within %d to %d", s, MinPort, MaxPort)
	case low > high:
		err = fmt.Errorf("the range of ports %s ends before it begins", s)
	case high-low+1 < MinPorts:
		err = fmt.Errorf("the range of ports %s is too small: one node may need a port for each of its workers, one for the scheduler and %d for the application master", s, MinPorts)
	}
	return low, high, err
}

var network = Kind{Name: "network", Want: "the name of a network interface, or a network such as 10.1.0.0/16", check: func(s string) error {
	return CheckInterface(s)
}}

var interfaceRule = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,15}$`) // Linux: IFNAMSIZ

// CheckInterface refuses what is neither the name of a network interface nor a
// network in CIDR form.
func CheckInterface(s string) error {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("%q is no network: write it like 10.1.0.0/16", s)
		}
		if p != p.Masked() {
			return fmt.Errorf("%q is no network: its bits after the first %d are set; write %s", s, p.Bits(), p.Masked())
		}
		return nil
	}
	if !interfaceRule.MatchString(s) {
		return fmt.Errorf("%q is no name of a network interface", s)
	}
	return nil
}

var wait = Kind{Name: "wait", Want: "none, accepted, workers:N or finished", check: matches(`^(none|accepted|finished|workers:[1-9][0-9]{0,5})$`)}

package memory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Version of the document that this package writes, and the only one that it reads:
// attempts of one application run the same program.
const Version = 1

// Bounds of what is read.
const (
	MaxExits      = 50
	maxContainers = 1 << 18
	maxPools      = 64
	maxText       = 64 << 10 // any single string
)

// State is what an attempt leaves to the next.
type State struct {
	Version int `json:"version"`
	Attempt int `json:"attempt"`
	// Claim says that the attempt has begun and has no state of its own yet.
	Claim bool `json:"claim,omitempty"`

	reconcile.Memory
	Scaling []Scaling `json:"scaling,omitempty"`
	Exits   []Exit    `json:"exits,omitempty"` // oldest first, at most MaxExits
}

// Scaling is who says how large a pool of workers is.
type Scaling struct {
	Pool   string       `json:"pool"`
	Limits *spec.Limits `json:"limits,omitempty"` // nil: a person
	Round  uint64       `json:"round"`            // grows with each word of a person's
}

// Exit is how a container ended.
type Exit struct {
	Container   string    `json:"container"`
	Pool        string    `json:"pool"`
	Node        string    `json:"node"`
	Cause       string    `json:"cause"`
	Status      int32     `json:"status"`
	Diagnostics string    `json:"diagnostics,omitempty"`
	Blameless   bool      `json:"blameless,omitempty"`
	When        time.Time `json:"when"`
}

// Encode returns the state as JSON.
func (s *State) Encode() ([]byte, error) { return json.Marshal(s) }

// Decode reads a state and checks it: an unknown field, another version or a value out
// of bounds is an error that says which.
func Decode(data []byte) (*State, error) {
	s := &State{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("application master's state: %w", err)
	}
	if d.More() {
		return nil, wrong("has something after its end")
	}
	return s, s.validate()
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("application master's state: "+format, args...)
}

func (s *State) validate() error {
	switch {
	case s.Version != Version:
		return wrong("version %d cannot be read, this program knows %d", s.Version, Version)
	case s.Attempt < 1:
		return wrong("attempt %d", s.Attempt)
	case len(s.Pools) > maxPools || len(s.Containers) > maxContainers || len(s.Exits) > MaxExits:
		return wrong("%d pools, %d containers and %d exits are too many", len(s.Pools), len(s.Containers), len(s.Exits))
	}
	for _, p := range s.Pools {
		if !text(p.Name) || p.Wanted < 0 || p.Wanted > maxContainers || p.Failures < 0 || p.Starved < 0 {
			return wrong("pool %+v", p)
		}
	}
	if len(s.Scaling) > maxPools {
		return wrong("%d pools that scale are too many", len(s.Scaling))
	}
	for _, p := range s.Scaling {
		if !text(p.Pool) || p.Limits != nil && p.Limits.Validate() != nil {
			return wrong("the limits of pool %q", p.Pool)
		}
	}
	for _, c := range s.Containers {
		if c.ID == "" || !text(c.ID, c.Pool, c.Node, c.Leaving) {
			return wrong("container %+v", c)
		}
	}
	if len(s.Avoided) > maxContainers {
		return wrong("%d nodes that are avoided are too many", len(s.Avoided))
	}
	for _, a := range s.Avoided {
		if a.Node == "" || !text(a.Node, a.Why) {
			return wrong("node %q, which is avoided", a.Node)
		}
	}
	for _, e := range s.Exits {
		if !text(e.Container, e.Pool, e.Node, e.Cause, e.Diagnostics) {
			return wrong("exit of %q", e.Container)
		}
	}
	if s.Stop != nil {
		switch s.Stop.Status {
		case reconcile.Succeeded, reconcile.Failed, reconcile.Killed:
		default:
			return wrong("final status %q", s.Stop.Status)
		}
		if !text(s.Stop.Why) {
			return wrong("the reason of the end")
		}
	}
	return nil
}

func text(list ...string) bool {
	for _, s := range list {
		if len(s) > maxText || !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

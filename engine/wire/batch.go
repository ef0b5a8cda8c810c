package wire

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// BatchToWire returns b as a message, which shares b's columns where it can.
func BatchToWire(b *graph.Batch) *Submit {
	m := &Submit{
		Job: uint32(b.Job), First: b.First,
		Class:  make([]uint32, len(b.Class)),
		DepEnd: b.DepEnd, PayEnd: b.PayEnd, Payload: b.Payload,
		HostEnd: b.HostEnd, Host: b.Hosts, HostName: b.HostNames,
		Loose: b.Loose,
	}
	for i, c := range b.Class {
		m.Class[i] = uint32(c)
	}
	if len(b.Deps) > 0 {
		m.DepJob = make([]uint32, len(b.Deps))
		m.DepIndex = make([]uint32, len(b.Deps))
		for i, d := range b.Deps {
			m.DepJob[i], m.DepIndex[i] = uint32(d.Job), d.Index
		}
	}
	return m
}

// BatchFromWire returns m's tasks after graph.Batch.Check against a job with so
// many classes. The batch takes m's columns over.
func BatchFromWire(m *Submit, classes int) (*graph.Batch, error) {
	b := &graph.Batch{
		Job: graph.JobID(m.Job), First: m.First,
		Class:  make([]graph.ClassID, len(m.Class)),
		DepEnd: m.DepEnd, PayEnd: m.PayEnd, Payload: m.Payload,
		HostEnd: m.HostEnd, Hosts: m.Host, HostNames: m.HostName,
	}
	// An empty column is absent: protobuf does not tell the two apart.
	if len(m.Loose) > 0 {
		b.Loose = m.Loose
	}
	for i, c := range m.Class {
		b.Class[i] = graph.ClassID(c)
	}
	if len(m.DepIndex) > 0 {
		b.Deps = make([]graph.TaskID, len(m.DepIndex))
		for i := range b.Deps {
			b.Deps[i] = graph.TaskID{Job: graph.JobID(m.DepJob[i]), Index: m.DepIndex[i]}
		}
	}
	if err := b.Check(classes); err != nil {
		return nil, Errorf(Invalid, "submit: %v", err)
	}
	return b, nil
}

// Check reports whether the columns agree; the rest is graph.Batch.Check's.
func (m *Submit) Check() error {
	for _, h := range m.HostName {
		if err := checkName("host name", h); err != nil {
			return err
		}
	}
	return sameLen(len(m.DepIndex), "dep_job", len(m.DepJob))
}

// ClassToWire returns a class as a message.
func ClassToWire(id graph.ClassID, c *graph.Class) *Class {
	m := &Class{
		Id: uint32(id), Name: c.Name, Kind: uint32(c.Kind), Spec: c.Spec,
		Slots: uint32(c.Resources.Slots), Memory: c.Resources.Memory, Named: AmountsToWire(c.Resources.Named),
		Host: c.Hosts, Idempotent: c.Idempotent, Lazy: c.Lazy, Actor: c.Actor, Priority: c.Priority, Retries: uint32(c.Retries), Deaths: uint32(c.Deaths),
		TimeLimitUs: uint64(max(c.TimeLimit, 0).Microseconds()), Pool: c.Pool,
	}
	if !c.Bundle.IsZero() {
		m.Bundle = slices.Clone(c.Bundle[:])
	}
	return m
}

// ClassFromWire returns the class and its id. m has passed Check.
func ClassFromWire(m *Class) (graph.ClassID, graph.Class) {
	c := graph.Class{
		Name: m.Name, Kind: graph.Kind(m.Kind), Spec: m.Spec,
		Resources: graph.Resources{Slots: uint16(m.Slots), Memory: m.Memory, Named: AmountsFromWire(m.Named)},
		Hosts:     m.Host, Idempotent: m.Idempotent, Lazy: m.Lazy, Actor: m.Actor, Priority: m.Priority, Retries: uint16(m.Retries), Deaths: uint16(m.Deaths),
		TimeLimit: microseconds(m.TimeLimitUs), Pool: m.Pool,
	}
	copy(c.Bundle[:], m.Bundle)
	return graph.ClassID(m.Id), c
}

// AmountsToWire returns amounts as messages.
func AmountsToWire(a graph.Amounts) (out []*Amount) {
	for _, x := range a {
		out = append(out, &Amount{Name: x.Name, Count: x.Count})
	}
	return out
}

// AmountsFromWire returns amounts that have passed CheckAmounts.
func AmountsFromWire(m []*Amount) (out graph.Amounts) {
	for _, x := range m {
		out = append(out, graph.Amount{Name: x.Name, Count: x.Count})
	}
	return out
}

// MaxNamed bounds the named resources, and the hosts, of a class or worker.
const MaxNamed = 1024

// CheckAmounts reports whether amounts have names, in order, and are within limits.
func CheckAmounts(m []*Amount) error {
	if len(m) > MaxNamed {
		return fmt.Errorf("%d named resources: the limit is %d", len(m), MaxNamed)
	}
	last := ""
	for _, x := range m {
		if err := checkName("resource", x.Name); err != nil {
			return err
		}
		if x.Name <= last || x.Count == 0 || x.Count > 1<<32-1 {
			return fmt.Errorf("resource %q of amount %d after %q", x.Name, x.Count, last)
		}
		last = x.Name
	}
	return nil
}

func checkHosts(hosts []string) error {
	if len(hosts) > MaxNamed {
		return fmt.Errorf("%d hosts: the limit is %d", len(hosts), MaxNamed)
	}
	last := ""
	for _, h := range hosts {
		if err := checkName("host", h); err != nil {
			return err
		}
		if h <= last {
			return fmt.Errorf("host %q after %q", h, last)
		}
		last = h
	}
	return nil
}

// Check reports the first class that cannot be.
func (m *Classes) Check() error {
	for _, c := range m.Class {
		if err := c.Check(); err != nil {
			return fmt.Errorf("class %d: %w", c.Id, err)
		}
	}
	return nil
}

// Check reports whether the class is within every limit.
func (m *Class) Check() error {
	if err := errors.Join(checkName("name", m.Name), checkName("pool", m.Pool), CheckAmounts(m.Named), checkHosts(m.Host)); err != nil {
		return err
	}
	switch {
	case graph.Kind(m.Kind).String() == "kind(?)" || m.Kind > 255:
		return fmt.Errorf("executor kind %d is not known", m.Kind)
	case len(m.Bundle) != 0 && len(m.Bundle) != len(graph.Digest{}):
		return fmt.Errorf("bundle digest of %d bytes", len(m.Bundle))
	case len(m.Spec) > MaxSpec:
		return fmt.Errorf("spec of %d bytes: the limit is %d", len(m.Spec), MaxSpec)
	case m.Slots > 1<<16-1 || m.Retries > 1<<16-1 || m.Deaths > 1<<16-1:
		return fmt.Errorf("slots %d, retries %d, deaths %d: the limit is %d", m.Slots, m.Retries, m.Deaths, 1<<16-1)
	case m.TimeLimitUs > maxMicroseconds:
		return fmt.Errorf("time limit of %d µs", m.TimeLimitUs)
	}
	return nil
}

package wire

import "github.com/yarnd/yarnd/engine/graph"

// RangeToWire returns r as a message, which shares r's payload.
func RangeToWire(r *graph.Range) *SubmitRange {
	return &SubmitRange{Job: uint32(r.Job), First: r.First, Count: r.N, Class: uint32(r.Class), Payload: r.Payload, Base: r.Base}
}

// RangeFromWire returns m's range after graph.Range.Check against a job with so many
// classes. It takes m's payload over.
func RangeFromWire(m *SubmitRange, classes int) (*graph.Range, error) {
	r := &graph.Range{
		Run:   graph.Run{Job: graph.JobID(m.Job), First: m.First, N: m.Count},
		Class: graph.ClassID(m.Class), Payload: m.Payload, Base: m.Base,
	}
	if err := r.Check(classes); err != nil {
		return nil, Errorf(Invalid, "submit: %v", err)
	}
	return r, nil
}

// RunsFromWire returns the runs of a Release or Cancel that has passed Check.
func RunsFromWire(job graph.JobID, from, count []uint32) []graph.Run {
	runs := make([]graph.Run, len(from))
	for i := range from {
		runs[i] = graph.Run{Job: job, First: from[i], N: count[i]}
	}
	return runs
}

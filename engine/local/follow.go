package local

import "slices"

// An attempt may follow others of this worker: an input that nobody has but this worker is
// the result that one of them is about to give. It waits for that one's end as for a fetch.
// Should it end without a result, or never begin, the scheduler stops those who follow it:
// here nothing is decided.

// leads returns the attempt that is about to give in, or nil.
func (c *Core) leads(in *Input) *attempt {
	if len(in.Holders) != 1 || in.Holders[0] != c.self {
		return nil
	}
	if b := c.attempts.get(in.Key); b != nil && b.state != stopping {
		return b
	}
	return nil
}

// caughtUp gives those who follow a, which has ended well, its result.
func (c *Core) caughtUp(a *attempt, e *End) {
	for _, f := range a.followers {
		for i := range f.Inputs {
			in := &f.Inputs[i]
			if in.Key != e.Key {
				continue
			}
			if in.Size = e.Size; !e.Kept {
				in.Inline, in.Holders = e.Inline, nil
			}
		}
		if f.missing--; f.missing == 0 {
			c.makeReady(f)
		}
	}
	a.followers = nil
}

// unfollow takes a from those who follow others.
func (c *Core) unfollow(a *attempt) {
	for i := range a.Inputs {
		if b := c.attempts.get(a.Inputs[i].Key); b != nil {
			b.followers = slices.DeleteFunc(b.followers, func(f *attempt) bool { return f == a })
		}
	}
}

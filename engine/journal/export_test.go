package journal

// Still takes chance out of a journal: pauses are of one length, and names count up.
func (o Options) Still(nonce func() uint32) Options {
	o.jitter, o.nonce = func() float64 { return 0.5 }, nonce
	return o
}

package wire

import "testing"

// What is forgotten is known to be: of nobody it is said that a call has not begun which may have.
func TestCalls(t *testing.T) {
	var c Calls
	if !c.MayHaveBegun(1, 1, 1) {
		t.Error("nothing was told yet")
	}
	c.Since = 2
	c.Add(1, 5)
	c.Add(1, 3)
	for _, k := range []struct {
		caller, request, sent uint64
		want                  bool
	}{{1, 5, 2, true}, {1, 6, 2, false}, {1, 6, 1, true}, {2, 1, 2, false}} {
		if c.MayHaveBegun(k.caller, k.request, k.sent) != k.want {
			t.Errorf("%v", k)
		}
	}
	var d Calls
	d.Since = 2
	d.Learn(c.Message())
	if !d.MayHaveBegun(1, 5, 2) || d.MayHaveBegun(1, 6, 2) || d.MayHaveBegun(2, 1, 2) {
		t.Errorf("%v", d.Message())
	}
	for i := range uint64(3 * maxCallers) {
		c.Add(10+i, 1)
		c.Add(9, i+1) // who calls is not forgotten
	}
	if m := c.Message(); !m.More || len(m.Caller) > 2*maxCallers || m.Check() != nil {
		t.Errorf("%d callers, more is %v", len(m.Caller), m.More)
	}
	if !c.MayHaveBegun(1, 6, 2) || c.MayHaveBegun(9, 3*maxCallers+1, 2) || !c.MayHaveBegun(9, 3*maxCallers, 2) {
		t.Error("what was forgotten is thought not to have begun, or a caller was forgotten that calls")
	}
	if (&Begun{Caller: []uint64{1}}).Check() == nil {
		t.Error("a caller without a request")
	}
}

package worker

import "testing"

func TestSmallestMemory(t *testing.T) {
	const probe, ratio = 1233 << 20, 2.1
	m := SmallestMemory(probe, ratio)
	if need := 3*float64(probe) + float64(m); need > ratio*float64(m) {
		t.Errorf("%d bytes do not pass", m)
	}
	if less := m - 1<<20; 3*float64(probe)+float64(less) <= ratio*float64(less) {
		t.Errorf("%d bytes are not the smallest", m)
	}
	if got := SmallestMemory(probe, 1); got != 0 {
		t.Errorf("ratio 1: %d", got)
	}
}

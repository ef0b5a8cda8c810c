package sched

import "math/bits"

// Durations are kept in a byte: bucket b stands for tooks[b] microseconds, four
// buckets to the doubling. An estimate that was charged to a worker is given
// back exactly, because both go through the same bucket.
var tooks = func() (v [256]int64) {
	for b := range v {
		if b < 4 {
			v[b] = int64(b)
			continue
		}
		octave, quarter := b/4, b%4
		v[b] = min(1<<40, (4+int64(quarter))<<min(octave-1, 50))
	}
	return v
}()

// bucket returns the largest bucket that does not stand for more than micros.
func bucket(micros int64) uint8 {
	if micros < 4 {
		return uint8(max(micros, 0))
	}
	octave := bits.Len64(uint64(micros)) - 3 // micros>>octave is 4..7
	return uint8(min(4*(octave+1)+int(micros>>octave&3), 255))
}

// average is an exponentially weighted moving average, in microseconds. The
// zero value knows nothing.
type average struct {
	sixteenths int64
	known      bool
}

func (a *average) add(micros int64) {
	micros = min(micros, 1<<40)
	if !a.known {
		a.known, a.sixteenths = true, micros*16
		return
	}
	a.sixteenths += micros*2 - a.sixteenths/8
}

func (a *average) micros() int64 { return a.sixteenths / 16 }

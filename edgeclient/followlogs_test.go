package edgeclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A log that cannot be read while its container runs is told of once and tried again; one that we may not read, and that was asked
// for by its container, is not waited for.
func TestFollowTellsWhatItCannotRead(t *testing.T) {
	var said []string
	c := &Client{opts: Options{Progress: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}}
	refused := &Fault{Code: Auth, What: "it shows logs to nobody"}
	away := &Fault{Code: TimedOut, What: "the node is away"}
	for _, x := range []struct {
		what      string
		container string
		err       error
		final     bool
		after     int // readings
		told      int
		done      bool
		fails     error
	}{
		{"refused", "", refused, false, 1, 1, false, nil},
		{"and again", "", refused, false, 2 * maxLogFails, 1, false, nil},
		{"refused, by name", "01", refused, false, 1, 0, true, refused},
		{"away", "", away, false, maxLogFails - 1, 0, false, nil},
		{"away for longer", "", away, false, 2 * maxLogFails, 1, false, nil},
		{"away, by name", "01", away, false, 2 * maxLogFails, 1, false, nil},
		{"away to the end", "", away, true, maxLogFails, 1, true, nil},
		{"long, and read on", "", away, true, 2 * maxLogFails, 0, false, nil},
		{"not there", "", &Fault{Code: NotFound}, false, 2 * maxLogFails, 0, false, nil},
		{"not there in the end", "", &Fault{Code: NotFound}, true, 1, 0, true, nil},
	} {
		said = nil
		s := &logSource{place: place{id: "container_01"}, name: "stderr", pause: logPause, busy: true}
		f := &logFollower{c: c, req: LogRequest{Container: x.container}, sources: []*logSource{s}}
		for range x.after {
			r := logRead{s: s, final: x.final, err: x.err}
			if x.what == "long, and read on" {
				r.n = 1
			}
			if err := f.took(r); err != nil {
				t.Errorf("%s: %v", x.what, err)
			}
		}
		if len(said) != x.told || x.told > 0 && !strings.Contains(said[0], "cannot read stderr of container_01") || s.done != x.done || !errors.Is(s.refused, x.fails) || s.busy {
			t.Errorf("%s: said %q, done %v, %v", x.what, said, s.done, s.refused)
		}
	}
}

package edgeclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
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
		r         logRead
		lasted    time.Duration // for which it has failed
		told      int
		done      bool
		fails     error // in the end
	}{
		{"refused", "", logRead{err: refused}, 0, 1, false, nil},
		{"refused, by name", "01", logRead{err: refused}, 0, 0, true, refused},
		{"refused, by name, when some was read", "01", logRead{err: refused, n: 1}, 0, 1, false, nil},
		{"away", "", logRead{err: away}, 0, 0, false, nil},
		{"away for longer", "", logRead{err: away}, tellLogTime, 1, false, nil},
		{"away, by name", "01", logRead{err: away}, tellLogTime, 1, false, nil},
		{"away after the end", "", logRead{err: away, final: true}, tellLogTime, 1, false, nil},
		{"away for good", "", logRead{err: away, final: true}, giveUpLogTime, 1, true, nil},
		{"away for good, by name", "01", logRead{err: away, final: true}, giveUpLogTime, 0, true, away},
		{"long, and read on", "", logRead{err: away, final: true, n: 1}, giveUpLogTime, 0, false, nil},
		{"not there", "", logRead{err: &Fault{Code: NotFound}}, giveUpLogTime, 0, false, nil},
		{"not there in the end", "", logRead{err: &Fault{Code: NotFound}, final: true}, 0, 0, true, nil},
		{"read", "", logRead{n: 1}, giveUpLogTime, 0, false, nil},
		{"read to its end", "", logRead{final: true}, giveUpLogTime, 0, true, nil},
	} {
		said = nil
		s := &logSource{place: place{id: "container_01"}, name: "stderr", pause: logPause, busy: true, told: x.what == "read"}
		if x.lasted > 0 {
			s.since = time.Now().Add(-x.lasted)
		}
		f := &logFollower{c: c, req: LogRequest{Container: x.container}, sources: []*logSource{s}}
		x.r.s = s
		for range 2 { // what was told is not told again
			if err := f.took(x.r); err != nil {
				t.Errorf("%s: %v", x.what, err)
			}
			if s.done {
				break
			}
		}
		if len(said) != x.told || x.told > 0 && !strings.Contains(said[0], "cannot read stderr of container_01") || s.done != x.done || !errors.Is(s.failed, x.fails) || s.busy {
			t.Errorf("%s: said %q, done %v, %v", x.what, said, s.done, s.failed)
		}
		if ok := x.r.n > 0 || x.r.err == nil; s.there != ok || f.found != ok || x.what == "read" && s.told {
			t.Errorf("%s: there %v, found %v, told %v", x.what, s.there, f.found, s.told)
		}
	}
}

package cli

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bars shows how far a long step is: a bar on a terminal, a line now and then
// elsewhere, nothing with -q.
type bars struct {
	c    *command
	what string
	bar  *progressbar.ProgressBar
	said time.Time
}

// silent is how long a step says nothing where there is no terminal.
const silent = 10 * time.Second

// smallUpload is done before anybody could look at a bar, in bytes.
const smallUpload = 1 << 20

func (b *bars) upload(name string, sent, all int64) {
	if all >= smallUpload {
		b.show("uploading "+printable(name), sent, all, true)
	}
}

func (b *bars) pack(done, all int) { b.show("packing", int64(done), int64(all), false) }

func (b *bars) show(what string, done, all int64, bytes bool) {
	if b.c.quiet {
		return
	}
	if what != b.what {
		b.end()
		b.what, b.said = what, time.Now()
		if terminal(b.c.Err) {
			b.bar = progressbar.NewOptions64(all, progressbar.OptionSetWriter(b.c.Err), progressbar.OptionSetDescription(what),
				progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionUseIECUnits(true), progressbar.OptionSetWidth(24),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
	}
	switch {
	case b.bar != nil && done >= all:
		b.end()
	case b.bar != nil:
		_ = b.bar.Set64(done)
	case done < all && time.Since(b.said) >= silent:
		b.said = time.Now()
		b.c.progress("%s: %d %%", what, done*100/max(all, 1))
	}
}

// end takes a bar off the terminal, also one that did not come to its end.
func (b *bars) end() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	b.what, b.bar = "", nil
}

// terminal reports whether a person looks at what is written there.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

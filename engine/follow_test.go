package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// onWrite lets a test act on what a command has written so far.
type onWrite struct {
	bytes.Buffer
	see func(string)
}

func (w *onWrite) Write(p []byte) (int, error) {
	w.Buffer.Write(p)
	w.see(w.String())
	return len(p), nil
}

// Output comes while the command runs: this one ends only when its first line was seen.
func TestFollow(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		seen := filepath.Join(t.TempDir(), "seen")
		run := func(script, item string, o ...engine.CommandOption) *engine.Future[engine.CommandResult] {
			o = append(o, engine.Live(), engine.Literal())
			return engine.Command([]string{"sh", "-c", script, seen}, o...).Submit(ctx, client, item)
		}
		var stderr bytes.Buffer
		stdout := &onWrite{see: func(all string) {
			if all == "{} early\n" {
				os.WriteFile(seen, nil, 0o600)
			}
		}}
		result, err := engine.Follow(deadline(t), run("echo {} early; while ! test -e $0; do sleep 0.01; done; echo late; echo why >&2; exit 4", ""), stdout, &stderr, nil)
		if err != nil || result.Exit != 4 || stdout.String() != "{} early\nlate\n" || stderr.String() != "why\n" {
			t.Errorf("%+v, %v: %q, %q", result, err, stdout.String(), stderr.String())
		}
		var out bytes.Buffer
		big := strings.Repeat("0123456789abcdef", 1<<17)
		result, err = engine.Follow(deadline(t), run("cat; kill -9 $$", big, engine.Stdin()), &out, &stderr, nil)
		if err != nil || result.Exit != 128+9 || out.String() != big {
			t.Errorf("killed: %d, %v, %d bytes", result.Exit, err, out.Len())
		}
	})
}

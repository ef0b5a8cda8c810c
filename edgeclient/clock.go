package edgeclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
)

// skewed is how far apart clocks may be without a word.
const skewed = 30 * time.Second

// skew is how far a remote clock, which was read between two moments of ours and
// counts in steps of tick, is ahead of ours at the least; negative is behind.
func skew(before, after, remote time.Time, tick time.Duration) time.Duration {
	switch {
	case remote.After(after):
		return remote.Sub(after)
	case remote.Add(tick).Before(before):
		return remote.Add(tick).Sub(before)
	}
	return 0
}

// judgeSkew warns of clocks that are apart, and refuses where certificates made here
// or there would not be valid yet on the other side.
func judgeSkew(d time.Duration, where string, warn func(string, ...any)) error {
	direction := "behind"
	if d < 0 {
		direction, d = "ahead of", -d
	}
	if d <= skewed {
		return nil
	}
	what := fmt.Sprintf("this host's clock is %s %s that of the %s", d.Round(time.Second), direction, where)
	if d > identity.Backdate {
		return &Fault{Code: Refused, What: what + fmt.Sprintf("; certificates bear at most %s", identity.Backdate), Next: "Set the clock: see timedatectl, or chronyc tracking"}
	}
	warn("warning: %s. Times of logs and of work will not agree. Set the clock: see timedatectl", what)
	return nil
}

// clockTimeout bounds the look at the ResourceManager's clock: its web port may well
// be closed to us.
const clockTimeout = 3 * time.Second

// checkClock compares clocks by the Date of the ResourceManager's web server. Hadoop
// sends it with every answer (org.apache.hadoop.http.NoCacheFilter), refusals too.
func (y *yarnCluster) checkClock(ctx context.Context) error {
	addrs, err := yarn.AddressesFromConf(y.conf)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	for _, a := range addrs.Web {
		before, after, remote, err := webClock(ctx, addrs.WebScheme()+a)
		if err != nil {
			y.opts.Log.Debug("no time from the ResourceManager's web server", "address", a, "err", err)
			continue
		}
		y.clockSeen()
		return judgeSkew(skew(before, after, remote, time.Second), "ResourceManager "+a, y.opts.Progress)
	}
	return nil
}

func (y *yarnCluster) clockSeen() (already bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	already, y.clocked = y.clocked, true
	return already
}

// webClock asks a web server for the time.
func webClock(ctx context.Context, base string) (before, after, remote time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, base+"/ws/v1/cluster/info", nil)
	if err != nil {
		return before, after, remote, err
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: clockTimeout}).DialContext, DisableKeepAlives: true,
			// Nothing but a time is read, which plain HTTP would not protect either,
			// and clusters sign their certificates themselves.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, // #nosec G402 -- see above
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	before = time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return before, after, remote, err
	}
	after = time.Now()
	resp.Body.Close()
	remote, err = http.ParseTime(resp.Header.Get("Date"))
	return before, after, remote, err
}

// judgeStart compares clocks by the time that the ResourceManager gave to an
// application which was submitted between two moments.
func (y *yarnCluster) judgeStart(before, after time.Time, startMs int64) error {
	if startMs <= 0 || y.clockSeen() {
		return nil
	}
	return judgeSkew(skew(before, after, time.UnixMilli(startMs), time.Millisecond), y.name, y.opts.Progress)
}

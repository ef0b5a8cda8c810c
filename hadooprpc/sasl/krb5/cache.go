package krb5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/credentials"
)

// CachePath is the file of the user's ticket cache: KRB5CCNAME, else default_ccache_name of krb5.conf, else
// /tmp/krb5cc_UID. Caches that are no files are an error that names the cure.
func CachePath(getenv func(string) string, c *Config) (string, error) {
	name, from := getenv("KRB5CCNAME"), "KRB5CCNAME"
	if name == "" {
		name, from = c.CacheName, "default_ccache_name in "+strings.Join(c.Files, ", ")
	}
	if name == "" {
		return "/tmp/krb5cc_" + strconv.Itoa(os.Getuid()), nil
	}
	kind, path, ok := strings.Cut(name, ":")
	switch {
	case !ok:
		return name, nil
	case kind == "FILE" && !strings.Contains(path, "%{"):
		return path, nil
	case strings.HasPrefix(name, "/"):
		return name, nil // a path with a colon in it
	}
	file := "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
	return "", &Error{BadCache, fmt.Sprintf("the ticket cache %s (by %s) is no file, and only files are read", name, from),
		fmt.Sprintf("run: export KRB5CCNAME=FILE:%s && kinit", file), nil}
}

const maxCache = 4 << 20 // bytes

// loadCache reads a ticket cache.
func loadCache(path string) (*credentials.CCache, error) {
	b, err := readBounded(path, maxCache)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &Error{NoCache, "there is no ticket cache " + path, "get a ticket with: kinit", nil}
	case errors.Is(err, os.ErrPermission):
		return nil, &Error{BadCache, "the ticket cache " + path + " is another user's", "set KRB5CCNAME to your own, or run: kinit", nil}
	case err == nil:
		b, err = checkCache(b)
	}
	c := &credentials.CCache{Path: path}
	if err == nil {
		err = safely(func() error { return c.Unmarshal(b) })
	}
	if err != nil {
		return nil, &Error{BadCache, "the ticket cache " + path + " cannot be read", "make a new one with: kdestroy; kinit", err}
	}
	return c, nil
}

// ticketGranting is the entry of a cache by which tickets for services are got.
func ticketGranting(c *credentials.CCache) (*credentials.Credential, error) {
	realm := c.GetClientRealm()
	for _, e := range c.GetEntries() {
		s := e.Server.PrincipalName.NameString
		if len(s) == 2 && s[0] == "krbtgt" && s[1] == realm {
			return e, nil
		}
	}
	return nil, &Error{NoCache, "the ticket cache " + c.Path + " has no ticket of " + cacheOwner(c) + " to get others with", "get one with: kinit", nil}
}

// cachedTickets are those of a cache, by service and realm, as in "nn/host@REALM". One that is damaged is left out, if it
// is not the one by which others are got. The times are the KDC's, whose clock may be before ours by skew; whether its own
// ticket is good already is for the KDC to say.
func cachedTickets(c *credentials.CCache, skew time.Duration) (map[string]ticket, error) {
	out := map[string]ticket{}
	for _, e := range c.GetEntries() {
		t := ticket{key: e.Key, since: e.AuthTime, ends: e.EndTime, renews: e.RenewTill}
		if e.StartTime.Unix() > 0 {
			t.since = e.StartTime
		}
		s := e.Server.PrincipalName.NameString
		grants := len(s) > 0 && s[0] == "krbtgt"
		if !grants && time.Until(t.since) > skew {
			continue // not good yet
		}
		if err := safely(func() error { return t.Unmarshal(e.Ticket) }); grants && err != nil {
			return nil, err
		} else if err != nil {
			continue
		}
		out[t.SName.PrincipalNameString()+"@"+t.Realm] = t
	}
	return out, nil
}

func cacheOwner(c *credentials.CCache) string {
	return c.GetClientPrincipalName().PrincipalNameString() + "@" + c.GetClientRealm()
}

var errCut = errors.New("the file is cut or damaged")

// checkCache walks over a cache, so that the library, which believes each length, has none that is wrong. What it returns is
// the cache without the fields of its header: nothing in them is needed, and the library reads them wrongly and refuses those
// that it does not know. Source: MIT's "Credential cache file format", versions 1 to 4.
func checkCache(b []byte) ([]byte, error) {
	if len(b) < 2 || b[0] != 5 || b[1] < 1 || b[1] > 4 {
		return nil, errors.New("it is no ticket cache of a known version")
	}
	w := &walker{rest: b[2:], version: b[1], order: binary.BigEndian}
	if w.version < 3 {
		w.order = binary.NativeEndian
	}
	if w.version == 4 {
		w.skip(int(w.u16()))
		b = append([]byte{5, 4, 0, 0}, w.rest...)
	}
	w.principal()
	for !w.failed && len(w.rest) > 0 {
		w.credential()
	}
	if w.failed {
		return nil, errCut
	}
	return b, nil
}

// walker skips over values, and has failed where there are fewer bytes than they take.
type walker struct {
	rest    []byte
	version byte
	order   binary.ByteOrder
	failed  bool
}

func (w *walker) skip(n int) {
	if n < 0 || n > len(w.rest) {
		w.failed, w.rest = true, nil
		return
	}
	w.rest = w.rest[n:]
}

func (w *walker) u16() (n uint16) {
	if len(w.rest) >= 2 {
		n = w.order.Uint16(w.rest)
	}
	w.skip(2)
	return n
}

func (w *walker) count() (n int) {
	if len(w.rest) >= 4 {
		n = int(int32(w.order.Uint32(w.rest)))
	}
	w.skip(4)
	return n
}

func (w *walker) data() { w.skip(w.count()) }

// each calls f for each of a counted list's members.
func (w *walker) each(n int, f func()) {
	if n < 0 || n > len(w.rest) { // none takes no byte
		w.failed, w.rest = true, nil
	}
	for i := 0; i < n && !w.failed; i++ {
		f()
	}
}

func (w *walker) principal() {
	if w.version != 1 {
		w.skip(4)
	}
	n := w.count()
	if w.version == 1 {
		n--
	}
	w.data() // realm
	w.each(n, w.data)
}

func (w *walker) credential() {
	w.principal()
	w.principal()
	w.skip(2)
	if w.version == 3 {
		w.skip(2)
	}
	w.data()            // key
	w.skip(4*4 + 1 + 4) // times, whether it is of another's session key, flags
	typed := func() { w.skip(2); w.data() }
	w.each(w.count(), typed) // addresses
	w.each(w.count(), typed) // authorization data
	w.data()                 // ticket
	w.data()                 // second ticket
}

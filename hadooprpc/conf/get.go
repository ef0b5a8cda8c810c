package conf

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Get returns a key's value, expanded and without the white space around it.
// A value whose expansion does not end is returned as written; [Load] never
// returns a configuration that holds one.
func (c *Conf) Get(key string) (string, bool) {
	p, ok := c.lookup(key)
	if !ok {
		return "", false
	}
	v, _ := c.expand(p.raw)
	return strings.TrimSpace(v), true
}

// String returns a key's value, or def when it is not set or empty.
func (c *Conf) String(key, def string) string {
	if v, ok := c.Get(key); ok && v != "" {
		return v
	}
	return def
}

// Strings returns the items of a comma-separated value without the white space
// around them; empty items are dropped.
func (c *Conf) Strings(key string) []string {
	v, _ := c.Get(key)
	var items []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// Bool reads "true" or "false" in any case. Java takes every other word for
// the default; a misspelt one is an error here, because a security switch that
// silently keeps its default is worse.
func (c *Conf) Bool(key string, def bool) (bool, error) {
	v := c.String(key, "")
	switch strings.ToLower(v) {
	case "":
		return def, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return def, c.bad(key, v, "true or false")
}

// Int reads a decimal or 0x number that fits an int.
func (c *Conf) Int(key string, def int) (int, error) {
	v, err := c.integer(key, int64(def), strconv.IntSize)
	return int(v), err
}

// Int64 reads a decimal or 0x number.
func (c *Conf) Int64(key string, def int64) (int64, error) {
	return c.integer(key, def, 64)
}

func (c *Conf) integer(key string, def int64, bits int) (int64, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	n, err := parseInteger(v, bits)
	if err != nil {
		return def, c.bad(key, v, "a whole number")
	}
	return n, nil
}

// parseInteger is Configuration.getInt's grammar: decimal, or hexadecimal
// after 0x, with a sign. Go's other prefixes and underscores are not part of it.
func parseInteger(v string, bits int) (int64, error) {
	digits, negative := strings.CutPrefix(v, "-")
	digits, base := strings.ToLower(digits), 10
	if hex, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, base = hex, 16
	}
	if strings.ContainsAny(digits, "-+") && (negative || base == 16) {
		return 0, strconv.ErrSyntax
	}
	if negative {
		digits = "-" + digits
	}
	return strconv.ParseInt(digits, base, bits)
}

// Float reads a decimal number.
func (c *Conf) Float(key string, def float64) (float64, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return def, c.bad(key, v, "a number")
	}
	return f, nil
}

// durationUnits in the order in which Configuration.ParsedTimeDuration tries
// them: "ms" must come before "s" and "m".
var durationUnits = []struct {
	suffix string
	unit   time.Duration
}{
	{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"ms", time.Millisecond},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

// Duration reads a whole number with one of Hadoop's suffixes ns, us, ms, s,
// m, h, d. A number without a suffix counts in the given unit, which differs
// from key to key: most names say it (…-ms, …-secs).
func (c *Conf) Duration(key string, def, unit time.Duration) (time.Duration, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	digits := strings.ToLower(v)
	for _, u := range durationUnits {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, unit = rest, u.unit
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || (unit > 0 && (n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit))) {
		return def, c.bad(key, v, "a duration such as 500ms, 30s or 2h")
	}
	return time.Duration(n) * unit, nil
}

// Bytes reads a whole number of bytes with one of Hadoop's binary suffixes
// k, m, g, t, p, e in either case.
func (c *Conf) Bytes(key string, def int64) (int64, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	digits, shift := v, 0
	if i := strings.IndexByte("kmgtpe", v[len(v)-1]|0x20); i >= 0 {
		digits, shift = v[:len(v)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64>>shift || n < math.MinInt64>>shift {
		return def, c.bad(key, v, "a size such as 1024, 64m or 2g")
	}
	return n << shift, nil
}

func (c *Conf) bad(key, value, want string) error {
	return &ValueError{Key: key, Value: value, Origin: c.Origin(key), Want: want}
}

package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
	"t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40,
}

// ParseBytes reads a size such as 256MiB, 4g, 1.5GiB. As in Hadoop and YARN all
// units are powers of 1024, whatever they are called. A number alone is refused
// below 1 MiB: it is always somebody's MiB or GiB.
func ParseBytes(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz ")
	unit, ok := sizeUnits[strings.TrimSpace(text[len(digits):])]
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, fmt.Errorf("%q is no size: write it like 512MiB or 4GiB", s)
	}
	if n*float64(unit) > math.MaxInt64/2 {
		return 0, fmt.Errorf("size %q is too large", s)
	}
	if digits == text && n > 0 && n < 1<<20 {
		return 0, fmt.Errorf("size %q has no unit: write %sMiB or %sGiB", s, digits, digits)
	}
	return int64(n * float64(unit)), nil
}

// FormatBytes writes a size in the largest unit that it fills: 512MiB, 1.5GiB.
func FormatBytes(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size || -n >= u.size {
			return strings.TrimSuffix(strconv.FormatFloat(float64(n)/float64(u.size), 'f', 1, 64), ".0") + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

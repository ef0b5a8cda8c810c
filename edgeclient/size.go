package edgeclient

import "github.com/yarnd/yarnd/edgeclient/config"

// ParseBytes reads a size such as 256MiB, 4g, 1.5GiB; see [config.ParseBytes].
func ParseBytes(s string) (int64, error) { return config.ParseBytes(s) }

// FormatBytes writes a size in the largest unit that it fills: 512MiB, 1.5GiB.
func FormatBytes(n int64) string { return config.FormatBytes(n) }

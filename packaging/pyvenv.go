package packaging

import (
	"bytes"
	"path"
	"strings"
)

// pyvenv reads the lines "key = value" of a pyvenv.cfg. The version is under
// "version" in those of venv, under "version_info" in those of others.
func pyvenv(b []byte) map[string]string {
	m := map[string]string{}
	for line := range bytes.Lines(b) {
		k, v, ok := strings.Cut(string(line), "=")
		if ok && len(m) < 100 {
			m[strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
		}
	}
	if m["version"] == "" {
		m["version"] = versionInfo(m["version_info"])
	}
	return m
}

// versionInfo shortens "3.11.7.final.0" to "3.11.7".
func versionInfo(s string) string {
	parts := strings.Split(s, ".")
	return strings.Join(parts[:min(3, len(parts))], ".")
}

// pathsOutside finds a line of a .pth file that adds an absolute directory to
// Python's path, as packages that are installed with -e have it.
func pathsOutside(pth []byte) string {
	for line := range bytes.Lines(pth) {
		if s := strings.TrimSpace(string(line)); path.IsAbs(s) {
			return s
		}
	}
	return ""
}

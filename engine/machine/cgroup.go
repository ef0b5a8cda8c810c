package machine

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// mount is a hierarchy of control groups that can be seen.
type mount struct {
	root  string   // the group that is at the top of it
	point string   // where that is
	two   bool     // version 2, with all controllers
	of    []string // version 1: its controllers
}

// directories are those of the process's groups that limit cores or memory, and of all
// groups above them, in which there may be files of limits.
func directories(root fs.FS) []string {
	mounts := readMounts(root)
	var out []string
	lines(root, "proc/self/cgroup", func(line string) {
		f := strings.SplitN(line, ":", 3) // hierarchy:controllers:path (cgroups(7)); version 2 is "0::path"
		if len(f) != 3 {
			return
		}
		for _, m := range mounts {
			if m.holds(f[0], f[1]) {
				out = append(out, m.upwards(f[2])...)
			}
		}
	})
	return out
}

// holds reports whether a line of /proc/self/cgroup is about this hierarchy.
func (m mount) holds(hierarchy, controllers string) bool {
	if m.two {
		return hierarchy == "0" && controllers == ""
	}
	for _, c := range strings.Split(controllers, ",") {
		if (c == "cpu" || c == "memory") && slices.Contains(m.of, c) {
			return true
		}
	}
	return false
}

// upwards are the directories of a group and of those above it. In a container the
// group's path may be the host's, and the hierarchy be mounted from the group itself.
func (m mount) upwards(group string) []string {
	group = path.Clean("/" + group)
	rel := "/"
	switch {
	case m.root == "/":
		rel = group
	case strings.HasPrefix(group, m.root+"/"):
		rel = group[len(m.root):]
	}
	var out []string
	for {
		out = append(out, strings.TrimPrefix(path.Join(m.point, rel), "/"))
		if rel == "/" {
			return out
		}
		rel = path.Dir(rel)
	}
}

// readMounts reads /proc/self/mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 0:30 /root /mount/point rw,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate
func readMounts(root fs.FS) (out []mount) {
	lines(root, "proc/self/mountinfo", func(line string) {
		before, after, ok := strings.Cut(line, " - ")
		f, of := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(of) < 3 {
			return
		}
		m := mount{root: path.Clean("/" + unescape(f[3])), point: path.Clean("/" + unescape(f[4])), two: of[0] == "cgroup2"}
		if of[0] == "cgroup" {
			m.of = strings.Split(of[2], ",")
		}
		if m.two || m.of != nil {
			out = append(out, m)
		}
	})
	return out
}

// unescape undoes \040 and its like, with which the kernel writes spaces in paths.
func unescape(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+4 > len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
			b.WriteByte(byte(n))
		} else {
			b.WriteString(s[i : i+4])
		}
		s = s[i+4:]
	}
}

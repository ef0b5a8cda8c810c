package machine

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Resources are what a process and its children may take.
type Resources struct {
	Cores  int   // whole ones, at least 1
	Memory int64 // bytes; 0 is not known
}

// Here tells what this process may take. The processors that it may run on are those
// at its start.
func Here() Resources { return Of(os.DirFS("/"), runtime.NumCPU()) }

// Of is Here on a host whose files are below root, with so many processors.
func Of(root fs.FS, processors int) Resources {
	r := Resources{Cores: max(1, processors), Memory: total(root)}
	for _, dir := range directories(root) {
		if share := quota(root, dir); share > 0 && share < float64(r.Cores) {
			r.Cores = max(1, int(share))
		}
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
			if n, ok := number(root, dir+"/"+name); ok && n > 0 && (r.Memory == 0 || n < r.Memory) {
				r.Memory = n
			}
		}
	}
	return r
}

// Share is the part of the memory, in bytes, that belongs to so many of the cores.
func (r Resources) Share(cores int) int64 {
	if cores >= r.Cores {
		return r.Memory
	}
	return r.Memory / int64(r.Cores) * int64(max(0, cores))
}

// total reads the host's memory.
func total(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line)) // MemTotal:  16384 kB
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if n, err := strconv.ParseInt(f[1], 10, 53); err == nil && n > 0 {
				return n << 10
			}
		}
	}
	return 0
}

// quota is how many cores a group's processes may keep busy, 0 where that is not
// limited.
func quota(root fs.FS, dir string) float64 {
	var of, period string
	if text, err := fs.ReadFile(root, dir+"/cpu.max"); err == nil {
		of, period, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
	} else if text, err := fs.ReadFile(root, dir+"/cpu.cfs_quota_us"); err == nil {
		of = strings.TrimSpace(string(text))
		if text, err = fs.ReadFile(root, dir+"/cpu.cfs_period_us"); err == nil {
			period = strings.TrimSpace(string(text))
		}
	}
	n, err := strconv.ParseInt(of, 10, 64)
	d, err2 := strconv.ParseInt(period, 10, 64)
	if err != nil || err2 != nil || n <= 0 || d <= 0 {
		return 0
	}
	return float64(n) / float64(d)
}

func number(root fs.FS, path string) (int64, bool) {
	text, err := fs.ReadFile(root, path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// lines calls f with the lines of a file, if it is there.
func lines(root fs.FS, path string, f func(string)) {
	text, err := fs.ReadFile(root, path)
	if err != nil {
		return
	}
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, len(text)+1)
	for s.Scan() {
		f(s.Text())
	}
}

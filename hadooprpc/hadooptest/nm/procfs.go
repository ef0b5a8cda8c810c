package nm

import (
	"bytes"
	"os"
	"strconv"
)

// procStat is what is wanted of /proc/<pid>/stat.
type procStat struct {
	pid, parent, group, session int
	name                        string
	state                       byte
	userTicks, systemTicks      int64
	vmem, rssPages              int64 // bytes; pages
}

var pageSize = int64(os.Getpagesize())

// processes lists the processes of this machine. Those that end meanwhile are left out.
func processes() []procStat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var list []procStat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		if st, ok := parseStat(pid, text); ok {
			list = append(list, st)
		}
	}
	return list
}

// ended tells whether a process is gone, or waits for nothing but being waited for.
func ended(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	st, ok := parseStat(pid, text)
	return err != nil || !ok || st.state == 'Z' || st.state == 'X'
}

// parseStat reads proc_pid_stat(5). The command's name, second field, stands in parentheses and may hold anything,
// parentheses too.
func parseStat(pid int, text []byte) (procStat, bool) {
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return procStat{}, false
	}
	f := bytes.Fields(text[end+1:]) // f[0] is field 3, the state
	if len(f) < 22 || len(f[0]) != 1 {
		return procStat{}, false
	}
	bad := false
	number := func(field int) int64 {
		n, err := strconv.ParseInt(string(f[field-3]), 10, 64)
		bad = bad || err != nil
		return n
	}
	st := procStat{
		pid: pid, name: string(text[begin+1 : end]), state: f[0][0],
		parent: int(number(4)), group: int(number(5)), session: int(number(6)),
		userTicks: number(14), systemTicks: number(15), vmem: number(23), rssPages: number(24),
	}
	return st, !bad
}

// tree returns the process root and its descendants, root first.
func tree(all []procStat, root int) []procStat {
	var out []procStat
	children := map[int][]procStat{}
	for _, st := range all {
		if st.pid == root {
			out = append(out, st)
		}
		children[st.parent] = append(children[st.parent], st)
	}
	for i := 0; i < len(out) && i <= len(all); i++ {
		out = append(out, children[out[i].pid]...)
	}
	return out
}

package executor

import (
	"bytes"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// processInfo is what /proc tells about one process.
type processInfo struct {
	pid, ppid int
	zombie    bool
	vsize     uint64 // bytes
	rss       uint64 // bytes
	cpu       uint64 // clock ticks (1/100 s) of user and system time, its own and that of children it waited for
}

// table is the machine's processes at one moment.
type table []processInfo

// processes reads /proc. Processes that come or go meanwhile may be missed. A scan
// costs about 10 µs a process, so this is for rare occasions.
func processes() table {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	t := make(table, 0, len(names))
	buf := make([]byte, 1024)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := readStat(pid, buf); ok {
			t = append(t, p)
		}
	}
	return t
}

// readStat reads /proc/PID/stat (proc_pid_stat(5)): "pid (comm) state ppid …". comm
// may hold spaces and parentheses, so fields count from the last one.
func readStat(pid int, buf []byte) (processInfo, bool) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return processInfo{}, false
	}
	n, _ := f.Read(buf)
	f.Close()
	return parseStat(pid, buf[:n])
}

func parseStat(pid int, line []byte) (processInfo, bool) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return processInfo{}, false
	}
	f := bytes.Fields(line[end+1:])
	if len(f) < 22 || len(f[0]) != 1 {
		return processInfo{}, false
	}
	number := func(field int) uint64 { // as proc_pid_stat(5) counts
		v, _ := strconv.ParseUint(string(f[field-3]), 10, 64)
		return v
	}
	return processInfo{
		pid:    pid,
		ppid:   int(number(4)),
		zombie: f[0][0] == 'Z' || f[0][0] == 'X',
		cpu:    number(14) + number(15) + number(16) + number(17),
		vsize:  number(23),
		rss:    number(24) * uint64(os.Getpagesize()),
	}, true
}

// childrenOf returns the pids of a process's children, zombies included, as the kernel
// lists them for each of its threads (proc_pid_task_children(5)): much cheaper than all of
// /proc on a busy machine, but one may be missing whose sibling ended meanwhile. It reports
// false where there are no such lists.
func childrenOf(pid int) (pids []int, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	d, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	defer d.Close()
	threads, _ := d.Readdirnames(-1)
	for _, thread := range threads {
		list, err := os.ReadFile(dir + "/" + thread + "/children")
		if err != nil {
			continue // the thread has ended
		}
		ok = true
		for f := range bytes.FieldsSeq(list) {
			if p, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, p)
			}
		}
	}
	return pids, ok
}

// familyOf returns a process and its descendants; processes that come or go meanwhile may
// be missed. It reports false where the kernel has no lists of children.
func familyOf(pid int) (t table, ok bool) {
	buf := make([]byte, 1024)
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		if p, lives := readStat(queue[0], buf); lives {
			t = append(t, p)
		}
		pids, listed := childrenOf(queue[0])
		ok = ok || listed
		queue = append(queue, pids...)
	}
	return t, ok
}

// children returns pid's living children.
func (t table) children(pid int) []int {
	var pids []int
	for _, p := range t {
		if p.ppid == pid && !p.zombie {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// descendants returns pid's living children, their children, and so on.
func (t table) descendants(pid int) []int {
	below := map[int][]processInfo{}
	for _, p := range t {
		below[p.ppid] = append(below[p.ppid], p)
	}
	var pids []int
	for queue := below[pid]; len(queue) > 0; queue = queue[1:] {
		if !queue[0].zombie {
			pids = append(pids, queue[0].pid)
		}
		queue = append(queue, below[queue[0].pid]...)
	}
	return pids
}

// sum adds up pid and its descendants.
func (t table) sum(pid int) (u Usage) {
	in := map[int]bool{pid: true}
	for _, p := range t.descendants(pid) {
		in[p] = true
	}
	for _, p := range t {
		if in[p.pid] {
			u.RSS += p.rss
			u.VmSize += p.vsize
			u.CPU += p.cpu
		}
	}
	return u
}

// environ returns a variable of a process's first environment, "" if it is not
// set or cannot be read.
func environ(pid int, name string) string {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if rest, ok := bytes.CutPrefix(v, []byte(name+"=")); ok {
			return string(rest)
		}
	}
	return ""
}

// sigchldPid returns the pid in what waitid filled in, 0 when there was nothing.
// The fields are a union behind the three that package unix names; on 64-bit Linux
// it begins at byte 16 with the pid (include/uapi/asm-generic/siginfo.h).
func sigchldPid(info *unix.Siginfo) int {
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), 16)))
}

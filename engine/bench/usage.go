package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// tick is what /proc counts processor time in, on every Linux that Go runs on: 10 ms.
const ticksPerSecond = 100

// usage is what a process, its children and theirs have taken so far.
type usage struct {
	pid   int
	cpu   float64 // seconds of user and system time, with children that have ended
	peak  uint64  // bytes of resident memory at most
	below []usage // living descendants
}

// total adds up the processor time of the process and its descendants.
func (u usage) total() float64 {
	sum := u.cpu
	for _, d := range u.below {
		sum += d.cpu
	}
	return sum
}

// totalPeak adds up the peaks. They need not have been at one time.
func (u usage) totalPeak() uint64 {
	sum := u.peak
	for _, d := range u.below {
		sum += d.peak
	}
	return sum
}

// usages reads what processes and their descendants have taken.
func usages(pids []int) ([]usage, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]usage{}
	children := map[int][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		if u, parent, ok := readUsage(pid); ok {
			all[pid] = u
			children[parent] = append(children[parent], pid)
		}
	}
	out := make([]usage, len(pids))
	for i, pid := range pids {
		u, ok := all[pid]
		if !ok {
			return nil, fmt.Errorf("process %d is gone", pid)
		}
		for queue := children[pid]; len(queue) > 0; queue = queue[1:] {
			d := all[queue[0]]
			d.peak = peakOf(d.pid)
			u.below = append(u.below, d)
			queue = append(queue, children[queue[0]]...)
		}
		slices.SortFunc(u.below, func(a, b usage) int { return cmp.Compare(a.pid, b.pid) })
		u.peak = peakOf(pid)
		out[i] = u
	}
	return out, nil
}

// readUsage reads /proc/PID/stat: "pid (comm) state ppid …" (proc_pid_stat(5)).
func readUsage(pid int) (u usage, parent int, ok bool) {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return u, 0, false
	}
	f := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	if len(f) < 15 {
		return u, 0, false
	}
	number := func(field int) int64 { // as proc_pid_stat(5) counts
		v, _ := strconv.ParseInt(string(f[field-3]), 10, 64) // the kernel wrote it
		return v
	}
	ticks := number(14) + number(15) + number(16) + number(17)
	return usage{pid: pid, cpu: float64(ticks) / ticksPerSecond}, int(number(4)), true
}

// peakOf reads VmHWM of /proc/PID/status; 0 when the process is gone.
func peakOf(pid int) uint64 {
	v, _ := memoryOf(pid, "VmHWM:")
	return v
}

func memoryOf(pid int, field string) (uint64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(field)); ok {
			kb, err := strconv.ParseUint(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no " + field)
}

package nm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// watchMemory kills containers that hold too much. Source: ContainersMonitorImpl (3.4.2).
func (n *Node) watchMemory() {
	ticker := time.NewTicker(n.opt.MemoryInterval)
	defer ticker.Stop()
	seen := map[int]bool{} // processes of the last round
	for {
		select {
		case <-ticker.C:
			seen = n.checkMemory(seen)
		case <-n.ctx.Done():
			return
		}
	}
}

// checkMemory looks at all containers once and returns the processes it saw.
func (n *Node) checkMemory(seen map[int]bool) map[int]bool {
	n.mu.Lock()
	watched := map[*container]int{}
	for _, c := range n.containers {
		if c.proc != nil && c.proc.PID() > 0 && !c.killed {
			watched[c] = c.proc.PID()
		}
	}
	n.mu.Unlock()
	now := map[int]bool{}
	if len(watched) == 0 {
		return now
	}
	all := processes()
	for c, pid := range watched {
		procs := tree(all, pid)
		u := use(procs, seen)
		for _, p := range procs {
			now[p.pid] = true
		}
		n.mu.Lock()
		if c.proc != nil && c.proc.PID() == pid {
			n.limit(c, pid, u, procs)
		}
		n.mu.Unlock()
	}
	return now
}

// usage is what a process tree holds, in bytes; old counts only the processes that were there a round ago, so that a
// fork that is about to exec does not count twice.
type usage struct{ rss, vmem, oldRSS, oldVmem int64 }

func use(procs []procStat, seen map[int]bool) usage {
	var u usage
	for _, p := range procs {
		u.rss, u.vmem = u.rss+p.rssPages*pageSize, u.vmem+p.vmem
		if seen[p.pid] {
			u.oldRSS, u.oldVmem = u.oldRSS+p.rssPages*pageSize, u.oldVmem+p.vmem
		}
	}
	return u
}

// over tells whether a limit is passed: twice by all processes, or once by those that are not new. Source:
// ContainersMonitorImpl.isProcessTreeOverLimit.
func over(all, old, limit int64) bool { return limit > 0 && (all > 2*limit || old > limit) }

// limit kills a container that is over its limits, under mu.
func (n *Node) limit(c *container, pid int, u usage, procs []procStat) {
	pmem := c.resource.GetMemory() << 20
	vmem := int64(float64(pmem) * n.opt.VmemRatio)
	why, kind, excess := yarn.ExitStatus(0), "", int64(0)
	switch {
	case n.opt.CheckVmem && over(u.vmem, u.oldVmem, vmem):
		why, kind, excess = yarn.ExitExceededVmem, "VIRTUAL", u.vmem-vmem
	case n.opt.CheckPmem && over(u.rss, u.oldRSS, pmem):
		why, kind, excess = yarn.ExitExceededPmem, "PHYSICAL", u.rss-pmem
	default:
		return
	}
	n.kill(c, why, fmt.Sprintf("Container [pid=%d,containerID=%s] is running %dB beyond the '%s' memory limit. "+
		"Current usage: %s of %s physical memory used; %s of %s virtual memory used. Killing container.\n%s",
		pid, c.id, excess, kind, human(u.rss), human(pmem), human(u.vmem), human(vmem), dump(c.id, procs)))
}

// tickMillis is how long a tick of /proc/<pid>/stat is: USER_HZ is 100 everywhere that matters.
const tickMillis = 10

// dump lists a process tree. Source: ProcfsBasedProcessTree.getProcessTreeDump.
func dump(id yarn.ContainerID, procs []procStat) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Dump of the process-tree for %s :\n", id)
	b.WriteString("\t|- PID PPID PGRPID SESSID CMD_NAME USER_MODE_TIME(MILLIS) SYSTEM_TIME(MILLIS) VMEM_USAGE(BYTES) RSSMEM_USAGE(PAGES) FULL_CMD_LINE\n")
	for _, p := range procs {
		cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		line := strings.TrimSpace(strings.ReplaceAll(string(cmd), "\x00", " "))
		if err != nil || line == "" {
			line = "N/A"
		}
		fmt.Fprintf(&b, "\t|- %d %d %d %d (%s) %d %d %d %d %s \n", p.pid, p.parent, p.group, p.session, p.name, p.userTicks*tickMillis, p.systemTicks*tickMillis, p.vmem, p.rssPages, line)
	}
	return b.String()
}

// human prints bytes as StringUtils.TraditionalBinaryPrefix.long2String(n, "B", 1) does.
func human(n int64) string {
	unit, v := 0, float64(n)
	for v >= 1024 && unit < 6 {
		v, unit = v/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	text := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + " " + " KMGTPE"[unit:unit+1] + "B"
}

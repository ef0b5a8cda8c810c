package local

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// procStat is what we want of /proc/<pid>/stat.
type procStat struct {
	pid, parent, session int
	state                byte
	rss                  int64 // bytes
}

// processes lists the processes of this machine. Those that end meanwhile are
// left out.
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

// parseStat reads proc_pid_stat(5). The command's name, second field, stands in
// parentheses and may hold anything, parentheses too.
func parseStat(pid int, text []byte) (procStat, bool) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return procStat{}, false
	}
	f := bytes.Fields(text[end+1:]) // f[0] is field 3, the state
	if len(f) < 22 || len(f[0]) != 1 {
		return procStat{}, false
	}
	parent, err1 := strconv.Atoi(string(f[1]))
	session, err2 := strconv.Atoi(string(f[3]))
	pages, err3 := strconv.ParseInt(string(f[21]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return procStat{}, false
	}
	return procStat{pid: pid, parent: parent, session: session, state: f[0][0], rss: pages * int64(os.Getpagesize())}, true
}

// killSession kills what is left of a session whose leader has ended, with all
// descendants, and waits until it is gone. New processes may be made while the list
// is read, so it is read until it is empty; somebody else's reaper may take a while,
// hence a bound.
//
// Descendants go first. One that left the session (setsid) is known by its parents
// alone, and its parents may be executors, to which it falls when those between have
// ended: were they killed at once, it would fall to the system's first process and be
// nobody's. What makes new ones all the time costs its executor its life after half
// the time.
func killSession(sid int) {
	const bound = 5 * time.Second
	for began := time.Now(); time.Since(began) < bound; time.Sleep(5 * time.Millisecond) {
		tops, below := remains(processes(), sid)
		if len(tops)+len(below) == 0 {
			return
		}
		if len(below) == 0 || time.Since(began) > bound/2 {
			below = append(below, tops...)
		}
		for _, pid := range below {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// remains finds a session's living processes without its leader, and all their
// descendants: those that have no parent among them, and the others.
func remains(list []procStat, sid int) (tops, below []int) {
	children := map[int][]int{}
	var members []int
	for _, st := range list {
		if st.state == 'Z' || st.pid == sid {
			continue
		}
		children[st.parent] = append(children[st.parent], st.pid)
		if st.session == sid {
			members = append(members, st.pid)
		}
	}
	isBelow := map[int]bool{}
	for queue := slices.Clone(members); len(queue) > 0; queue = queue[1:] {
		for _, child := range children[queue[0]] {
			if !isBelow[child] {
				isBelow[child] = true
				queue = append(queue, child)
			}
		}
	}
	tops = slices.DeleteFunc(members, func(pid int) bool { return isBelow[pid] })
	return tops, slices.Sorted(maps.Keys(isBelow))
}

// watchMemory kills containers that hold too much, twice a second.
func (p *Provider) watchMemory() {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.checkMemory()
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *Provider) checkMemory() {
	held := map[int]int64{}
	for _, st := range processes() {
		held[st.session] += st.rss
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.boxes {
		if b.proc != nil && held[b.proc.pid] > b.pool.Resource.MemoryMiB<<20 && !b.overMem {
			b.overMem = true
			p.log.Info("container holds too much memory", "container", b.id, "bytes", held[b.proc.pid])
			b.proc.kill()
		}
	}
}

// WatchLifeline ends this process with the given function when the application
// master that started it on the local provider is gone. Elsewhere it does
// nothing. It is called early in a container's process.
func WatchLifeline(end func()) error {
	value := os.Getenv(LifelineEnv)
	if value == "" {
		return nil
	}
	os.Unsetenv(LifelineEnv) // children have no such descriptor
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return fmt.Errorf("local provider: %s=%q names no file descriptor", LifelineEnv, value)
	}
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "lifeline")
	if pipe == nil {
		return fmt.Errorf("local provider: %s=%q names no file descriptor", LifelineEnv, value)
	}
	go func() {
		// Nobody ever writes: the read returns when the last writing end is closed.
		pipe.Read(make([]byte, 1))
		end()
	}()
	return nil
}

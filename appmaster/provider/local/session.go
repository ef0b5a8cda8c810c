package local

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// procStat is what we want of /proc/<pid>/stat.
type procStat struct {
	pid, session int
	state        byte
	rss          int64 // bytes
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
	session, err1 := strconv.Atoi(string(f[3]))
	pages, err2 := strconv.ParseInt(string(f[21]), 10, 64)
	if err1 != nil || err2 != nil {
		return procStat{}, false
	}
	return procStat{pid: pid, session: session, state: f[0][0], rss: pages * int64(os.Getpagesize())}, true
}

// killSession kills what is left of a session whose leader has ended, and waits
// until it is gone. New processes may be made while the list is read, so it is
// read until it is empty; somebody else's reaper may take a while, hence a bound.
func killSession(sid int) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, st := range processes() {
			if st.session == sid && st.state != 'Z' && st.pid != sid {
				left++
				syscall.Kill(st.pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return
		}
	}
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

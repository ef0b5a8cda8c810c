package executor

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Usage is what processes take together.
type Usage struct {
	RSS    uint64 // bytes; memory that several share counts for each
	VmSize uint64 // bytes of address space, what YARN's vmem check sums up
	CPU    uint64 // clock ticks (1/100 s) since each was started
}

// How often memory is looked at: while tasks run, as often as what is free could be taken
// meanwhile, but not more often than closely; calmly otherwise. A command can take hundreds
// of MiB in a fraction of a second, and a node manager that happens to look then kills the
// whole container at once. Where nothing runs it is looked at now and then.
const (
	rarely    = 5 * time.Second
	calmly    = time.Second
	closely   = 100 * time.Millisecond
	growth    = 4 << 30 // bytes a second that tasks may take at the most, as far as is believed here
	lookShare = 20      // times a look's duration is the least time between two: looking must not cost a core where /proc is large
	killShare = 0.95    // of the limit, above which somebody has to go
)

// nextLook returns how long after a look, which took so long and found so much, the next
// one is due while tasks run. limit 0 is none.
func nextLook(took time.Duration, rss, limit uint64) time.Duration {
	if limit == 0 {
		return calmly
	}
	free := max(0, killShare*float64(limit)-float64(rss))
	filled := time.Duration(free / growth * float64(time.Second))
	return min(calmly, max(filled, lookShare*took))
}

// watch measures what this process and its descendants take, and kills the largest
// executor or command before the container's limit is reached: a node manager that
// sees it exceeded kills everything, the worker and its results included.
func (m *Manager) watch() {
	var looked time.Time
	wait := closely
	for m.rest() {
		for _, p := range m.live() {
			p.tend(time.Now())
		}
		if since := time.Since(looked); since < wait || since < calmly && !m.busy() {
			continue
		}
		looked = time.Now()
		t := m.family.tree()
		u := t.sum(os.Getpid())
		wait = nextLook(time.Since(looked), u.RSS, m.opts.MemoryLimit)
		m.mu.Lock()
		m.usage = u
		m.mu.Unlock()
		if limit := float64(m.opts.MemoryLimit); limit > 0 && float64(u.RSS) > killShare*limit {
			m.killLargest(t, u)
		}
	}
}

// rest waits a moment, or longer while nothing runs. It reports whether m is still open.
func (m *Manager) rest() bool {
	d := min(rarely, max(closely, m.opts.IdleTime/4))
	m.still.Store(true)
	if m.busy() {
		m.still.Store(false)
		return pause(m.ctx, closely)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		m.still.Store(false)
	case <-m.stirred: // what began just now is looked at after a moment
		return pause(m.ctx, closely)
	case <-m.ctx.Done():
	}
	return m.ctx.Err() == nil
}

// stir ends the rest of watch, if it rests.
func (m *Manager) stir() {
	if m.still.Load() && m.still.CompareAndSwap(true, false) {
		select {
		case m.stirred <- struct{}{}:
		default:
		}
	}
}

// busy tells whether any task runs, or waits for a process.
func (m *Manager) busy() bool {
	m.mu.Lock()
	waits := slices.ContainsFunc(m.slots, func(s *slot) bool { return len(s.waiting) > 0 })
	m.mu.Unlock()
	return waits || slices.ContainsFunc(m.live(), func(p *process) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.calls.count > 0
	})
}

// live lists the executors.
func (m *Manager) live() []*process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.all))
}

// Usage returns what this process and its descendants took when it was last
// measured: about a second ago at the most, or five while nothing runs.
func (m *Manager) Usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usage
}

// killLargest kills the command, or else the executor of functions, that takes
// most. Its tasks fail with graph.FailMemory.
func (m *Manager) killLargest(t table, u Usage) {
	var most uint64
	var name string
	var kill func()
	for _, p := range m.live() {
		for _, v := range p.victims(t) {
			if v.rss > most {
				most, name, kill = v.rss, v.name, v.kill
			}
		}
	}
	if kill == nil {
		m.opts.Log.Error("memory is short and no task to blame", "rss", u.RSS, "limit", m.opts.MemoryLimit)
		return
	}
	m.opts.Log.Warn("killed for memory", "what", name, "rss", most, "all", u.RSS, "limit", m.opts.MemoryLimit)
	kill()
}

// victim is something that can be killed to get memory back.
type victim struct {
	name string
	rss  uint64
	kill func()
}

// victims returns the executor's commands, or itself when it runs functions.
func (p *process) victims(t table) []victim {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key.kind == graph.KindCommand {
		var vs []victim
		for _, c := range p.calls.all() {
			if c.pid == 0 {
				continue
			}
			vs = append(vs, victim{"command of task " + c.ID.String(), t.sum(c.pid).RSS, func() {
				if p.stop(c, stopMemory) {
					p.wake()
				}
			}})
		}
		return vs
	}
	if p.cmd == nil || p.reaped || p.calls.count == 0 {
		return nil
	}
	return []victim{{"executor " + p.key.String(), t.sum(p.cmd.Process.Pid).RSS, func() {
		p.memory.Store(true)
		p.kill()
	}}}
}

// oomKills returns how many processes of this process's control group the kernel
// has killed for memory, 0 where that cannot be told.
func oomKills() uint64 {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path (cgroups(7)); version 2 is "0::path".
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		switch {
		case f[0] == "0" && f[1] == "":
			if n, ok := eventCount(filepath.Join("/sys/fs/cgroup", f[2], "memory.events")); ok {
				return n
			}
		case f[1] == "memory":
			if n, ok := eventCount(filepath.Join("/sys/fs/cgroup/memory", f[2], "memory.oom_control")); ok {
				return n
			}
		}
	}
	return 0
}

// eventCount reads "oom_kill N" from a control group's file.
func eventCount(path string) (uint64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(rest)), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// oomCount is oomKills, which costs too much to be read for each command: what is
// remembered is at most oomAge old.
type oomCount struct {
	mu   sync.Mutex
	n    uint64
	read time.Duration // by clock; 0: never
}

const oomAge = 100 * time.Millisecond

// recent returns how many there were not long ago.
func (o *oomCount) recent() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := clock(); o.read == 0 || now-o.read > oomAge {
		o.n, o.read = oomKills(), now
	}
	return o.n
}

// now returns how many there are.
func (o *oomCount) now() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n, o.read = oomKills(), clock()
	return o.n
}

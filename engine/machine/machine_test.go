package machine

import (
	"testing"
	"testing/fstest"
)

// host makes a file system of files by path.
func host(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const (
	meminfo  = "MemTotal:       16777216 kB\nMemFree:         1000000 kB\n"
	mountTwo = "24 18 0:22 / /sys rw - sysfs sysfs rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountOne = "33 32 0:28 / /sys/fs/cgroup/memory rw shared:15 - cgroup cgroup rw,memory\n" +
		"34 32 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:16 - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 32 0:30 / /sys/fs/cgroup/pids rw shared:17 - cgroup cgroup rw,pids\n"
	groupsOne = "12:pids:/job\n4:cpu,cpuacct:/job/task\n3:memory:/job/task\n1:name=systemd:/job\n0::/unified\n"
)

func TestOf(t *testing.T) {
	const gib = 1 << 30
	for name, x := range map[string]struct {
		files map[string]string
		want  Resources
	}{
		"nothing to read": {nil, Resources{Cores: 8}},
		"no groups":       {map[string]string{"proc/meminfo": meminfo}, Resources{8, 16 * gib}},
		"version 2, no limit": {map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mountTwo, "proc/self/cgroup": "0::/user.slice\n",
			"sys/fs/cgroup/user.slice/cpu.max": "max 100000\n", "sys/fs/cgroup/user.slice/memory.max": "max\n"}, Resources{8, 16 * gib}},
		"version 2, its own limits": {map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mountTwo, "proc/self/cgroup": "0::/system.slice/yarnd.service\n",
			"sys/fs/cgroup/system.slice/yarnd.service/cpu.max": "250000 100000\n", "sys/fs/cgroup/system.slice/yarnd.service/memory.max": "2147483648\n"}, Resources{2, 2 * gib}},
		"version 2, the tightest is above": {map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mountTwo, "proc/self/cgroup": "0::/a/b/c\n",
			"sys/fs/cgroup/a/cpu.max": "300000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/c/cpu.max": "600000 100000\n",
			"sys/fs/cgroup/a/b/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/c/memory.max": "4294967296\n"}, Resources{3, gib}},
		"version 2, a namespace of its own": {map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mountTwo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/memory.max": "536870912\n"}, Resources{1, gib / 2}},
		"version 2, outside of the namespace": {map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mountTwo, "proc/self/cgroup": "0::/../../other\n",
			"sys/fs/cgroup/memory.max": "1073741824\n"}, Resources{8, gib}},
		"version 1": {map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mountOne, "proc/self/cgroup": groupsOne,
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "400000\n", "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/job/task/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/job/task/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "3221225472\n", "sys/fs/cgroup/memory/job/task/memory.limit_in_bytes": "9223372036854771712\n"}, Resources{4, 3 * gib}},
		"version 1, mounted from its own group": {map[string]string{"proc/meminfo": meminfo,
			"proc/self/mountinfo": "33 32 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "proc/self/cgroup": "3:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, Resources{8, gib}},
		"version 1, below what is mounted": {map[string]string{"proc/meminfo": meminfo,
			"proc/self/mountinfo": "33 32 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "proc/self/cgroup": "3:memory:/docker/abc/inner\n",
			"sys/fs/cgroup/memory/inner/memory.limit_in_bytes": "1073741824\n"}, Resources{8, gib}},
		"a path with a space": {map[string]string{"proc/meminfo": meminfo,
			"proc/self/mountinfo": "30 24 0:26 / /the\\040groups rw - cgroup2 cgroup2 rw\n", "proc/self/cgroup": "0::/a b\n",
			"the groups/a b/memory.max": "1073741824\n"}, Resources{8, gib}},
		"nonsense": {map[string]string{"proc/meminfo": "MemTotal: lots kB\n", "proc/self/mountinfo": "- - -\n 1 2 3 - cgroup2\n" + mountTwo, "proc/self/cgroup": "::\nx\n0::/a\n",
			"sys/fs/cgroup/a/cpu.max": "100000 0\n", "sys/fs/cgroup/a/memory.max": "0\n"}, Resources{Cores: 8}},
		"less than a core": {map[string]string{"proc/self/mountinfo": mountTwo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000"}, Resources{Cores: 1}},
	} {
		if got := Of(host(x.files), 8); got != x.want {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
}

func TestShare(t *testing.T) {
	r := Resources{Cores: 4, Memory: 1000}
	for cores, want := range map[int]int64{0: 0, 1: 250, 3: 750, 4: 1000, 9: 1000} {
		if got := r.Share(cores); got != want {
			t.Errorf("of %d cores: %d, want %d", cores, got, want)
		}
	}
}

// Here, wherever it is, has a core and some memory.
func TestHere(t *testing.T) {
	if r := Here(); r.Cores < 1 || r.Memory < 1<<20 {
		t.Errorf("%+v", r)
	}
}

// Whatever the files hold, a process has at least one core and no more than there are.
func FuzzOf(f *testing.F) {
	f.Add(meminfo, mountTwo, "0::/a/b\n", "150000 100000", "1073741824")
	f.Add(meminfo, mountOne, groupsOne, "-1", "max")
	f.Add("MemTotal: 1 kB", "1 2 3 /\\04 /\\777 x - cgroup2 a b", "0::../..", "1 1", "-1")
	f.Fuzz(func(t *testing.T, meminfo, mounts, groups, cpu, memory string) {
		root := host(map[string]string{"proc/meminfo": meminfo, "proc/self/mountinfo": mounts, "proc/self/cgroup": groups})
		for _, dir := range directories(root) {
			for name, text := range map[string]string{"cpu.max": cpu, "memory.max": memory, "memory.limit_in_bytes": memory} {
				root[dir+"/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
		}
		all := total(root)
		r := Of(root, 8)
		if r.Cores < 1 || r.Cores > 8 || r.Memory < 0 || all > 0 && (r.Memory > all || r.Memory == 0) {
			t.Errorf("%+v of %d bytes", r, all)
		}
	})
}

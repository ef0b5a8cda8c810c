// Package machine tells what this host lets a process have: cores and memory, less
// what its control groups withhold.
//
// A process's groups, one or one for each controller, are named in /proc/self/cgroup,
// relative to where /proc/self/mountinfo says that the hierarchy is mounted. A limit
// holds for a group and all below it, so the tightest on the way up counts:
//
//	            version 2              version 1
//	cores       cpu.max                cpu.cfs_quota_us / cpu.cfs_period_us
//	            "200000 100000", max   -1 is no limit
//	memory      memory.max             memory.limit_in_bytes
//	            bytes, max             a huge number is no limit
//
// (Linux: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1, scheduler/sched-bwc.rst.)
//
// What cannot be read, or makes no sense, limits nothing. The parser is pure, over an
// fs.FS; [Here] gives it the real one.
package machine

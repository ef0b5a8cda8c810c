"""What a run takes: time, and the processor time of this process and all below it."""

import os
import time


def cpu_of(pids):
    """User and system seconds of processes and of their ended children."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / tick


def tree(root):
    """The process root and all that descend from it."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                children.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(pid))
        except (FileNotFoundError, ProcessLookupError):
            pass
    out, todo = [], [root]
    while todo:
        pid = todo.pop()
        out.append(pid)
        todo += children.get(pid, [])
    return out


BEGAN = time.perf_counter()  # when this process did, nearly


def clock(run):
    """Calls run and returns {"start_s", "wall_s", "cpu_s"}, and what run returned."""
    before, began = cpu_of(tree(os.getpid())), time.perf_counter()
    got = run()
    ended = time.perf_counter()
    cpu = cpu_of(tree(os.getpid())) - before
    return {"start_s": began - BEGAN, "wall_s": ended - began, "cpu_s": cpu}, got


def median_of(repeats, run):
    """Like clock, of the run with the median time of so many, one after the other."""
    runs = [clock(run) for _ in range(repeats)]
    took, got = sorted(runs, key=lambda r: r[0]["wall_s"])[(repeats - 1) // 2]
    return {**took, "start_s": runs[0][0]["start_s"], "runs": [r["wall_s"] for r, _ in runs]}, got


def one_by_one(call, items):
    """Calls call for one item after the other: like clock, with the median time of a call."""
    times = []

    def run():
        got = []
        for i in items:
            began = time.perf_counter()
            got.append(call(i))
            times.append((time.perf_counter() - began) * 1e6)
        return got

    took, got = clock(run)
    return {**took, "latency_us": {"p50": sorted(times)[len(times) // 2]}}, got

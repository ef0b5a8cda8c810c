"""Runs the shapes of `go run ./engine/bench` on other engines, with the same tasks and the
same checksum: peers.py ENGINE SHAPE TASKS WORKERS prints one JSON object. One slot a worker.

ENGINE is dask (task queueing as it comes), dask-inf (without it), ray or hyperqueue.
"""

import json
import os
import sys
import tempfile
import time

MASK = (1 << 64) - 1


def value(i, deps):
    """The value of task i: SplitMix64 of its number and its inputs' values."""
    z = (i + sum(deps) + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def task(i, *deps):
    return value(i, deps)


def task_of_list(i, deps):
    return value(i, deps)


def deps_of(shape, n):
    """A function from a task's number to those of its dependencies, as package bench has it."""
    def merge(i):
        return range(n - 1) if i == n - 1 else ()

    def chain(i):
        return (i - 1,) if i else ()

    def tree(i):
        at = n - 1 - i
        return [n - 1 - child for child in (2 * at + 2, 2 * at + 1) if child < n]

    def stencil(i):
        row, col = divmod(i, 1000)
        return [(row - 1) * 1000 + (col + d) % 1000 for d in (-1, 0, 1)] if row else ()

    shapes = {"map": lambda i: (), "merge": merge, "chain": chain, "tree": tree, "stencil": stencil}
    if shape not in shapes:
        sys.exit(f"peers.py: shape {shape} is not known here")
    return shapes[shape]


def sinks_of(deps, n):
    """The tasks that no other needs."""
    needed = set()
    for i in range(n):
        needed.update(deps(i))
    return [i for i in range(n) if i not in needed]


def cpu_of(pids):
    """User and system seconds of processes and of their ended children."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
        except FileNotFoundError:
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


def clock(run):
    """Seconds, CPU seconds of this process and all that it started, and the result of run()."""
    before, began = cpu_of(tree(os.getpid())), time.perf_counter()
    got = run()
    wall = time.perf_counter() - began
    return wall, cpu_of(tree(os.getpid())) - before, got


def checksum(values):
    return f"{sum(values) & MASK:016x}"


def dask(shape, n, workers, queueing):
    import dask as d
    from distributed import Client, LocalCluster

    if not queueing:
        d.config.set({"distributed.scheduler.worker-saturation": "inf"})
    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(task, range(10 * workers), pure=False))
        if shape == "submit":
            return submits(n, lambda i: client.submit(task, i, pure=False).result())
        deps = deps_of(shape, n)
        sinks = sinks_of(deps, n)

        def run():
            if shape == "map":
                return client.gather(client.map(task, range(n), pure=False))
            if shape == "merge":
                leaves = client.map(task, range(n - 1), pure=False)
                return [client.submit(task_of_list, n - 1, leaves, pure=False).result()]
            graph = {f"t-{i}": (task, i, *(f"t-{k}" for k in deps(i))) for i in range(n)}
            return client.get(graph, [f"t-{i}" for i in sinks])

        wall, cpu, got = clock(run)
        return wall, cpu, checksum(got), None


def ray(shape, n, workers):
    import logging

    import ray as r

    r.init(num_cpus=workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    try:
        f = r.remote(task)
        r.get([f.remote(i) for i in range(10 * workers)])
        if shape == "submit":
            return submits(n, lambda i: r.get(f.remote(i)))
        deps = deps_of(shape, n)
        sinks = sinks_of(deps, n)

        def run():
            refs = {}
            for i in range(n):
                refs[i] = f.remote(i, *(refs[k] for k in deps(i)))
            return r.get([refs[i] for i in sinks])

        wall, cpu, got = clock(run)
        return wall, cpu, checksum(got), None
    finally:
        r.shutdown()


def hyperqueue(shape, n, workers):
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    if shape != "true":
        sys.exit(f"peers.py: hyperqueue runs commands: shape {shape} has none")
    with tempfile.TemporaryDirectory() as directory, LocalCluster(server_dir=directory) as cluster:
        os.chdir(directory)  # where it puts what commands print
        for _ in range(workers):
            cluster.start_worker(WorkerConfig(cores=1))
        client = cluster.client()

        def run():
            job = Job()
            for _ in range(n):
                job.program(["true"])
            client.wait_for_jobs([client.submit(job)])

        wall, cpu, _ = clock(run)
        return wall, cpu, None, None


def submits(n, call):
    times = []

    def run():
        for i in range(n):
            began = time.perf_counter()
            if call(i) != value(i, ()):
                sys.exit("peers.py: a wrong result")
            times.append((time.perf_counter() - began) * 1e6)

    wall, cpu, _ = clock(run)
    return wall, cpu, None, sorted(times)[n // 2]


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: peers.py dask|dask-inf|ray|hyperqueue SHAPE TASKS WORKERS")
    engine, shape, n, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    out = os.dup(1)
    os.dup2(2, 1)  # engines print what they like
    if engine == "ray":
        wall, cpu, total, p50 = ray(shape, n, workers)
    elif engine == "hyperqueue":
        wall, cpu, total, p50 = hyperqueue(shape, n, workers)
    else:
        wall, cpu, total, p50 = dask(shape, n, workers, engine == "dask")
    result = {
        "engine": engine, "shape": shape, "tasks": n, "workers": workers, "wall_s": wall, "tasks_per_s": n / wall,
        "cpu_us_per_task": cpu / n * 1e6, "checksum": total, "latency_us": {"p50": p50},
    }
    with os.fdopen(out, "w") as f:
        print(json.dumps(result), file=f)


if __name__ == "__main__":
    main()

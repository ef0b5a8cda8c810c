"""Shapes on dask.distributed: a local cluster of processes, over TCP without TLS, as it comes."""

import dask
from distributed import Client, LocalCluster

from clock import clock, one_by_one
from tasks import VALUE, checksum, deps_of, large, sinks_of, task, task_of_list, value_of


def run(job, queueing=True):
    """queueing: whether root tasks wait in the scheduler, as they do unless it is told otherwise."""
    if not queueing:
        dask.config.set({"distributed.scheduler.worker-saturation": "inf"})
    with LocalCluster(n_workers=job.workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(task, range(10 * job.workers), pure=False))
        return SHAPES.get(job.shape, graph)(client, job)


def graph(client, job):
    n, deps = job.tasks, deps_of(job.shape, job.tasks)
    sinks = sinks_of(deps, n)

    def whole():
        if job.shape == "map":
            return client.gather(client.map(task, range(n), pure=False))
        if job.shape == "merge":
            leaves = client.map(task, range(n - 1), pure=False)
            return [client.submit(task_of_list, n - 1, leaves, pure=False).result()]
        return client.get({f"t-{i}": (task, i, *(f"t-{k}" for k in deps(i))) for i in range(n)}, [f"t-{i}" for i in sinks])

    took, got = clock(whole)
    return {**took, "checksum": checksum(got)}


def submit(client, job):
    took, got = one_by_one(lambda i: client.submit(task, i, pure=False).result(), range(job.tasks))
    return {**took, "checksum": checksum(got)}


def python(client, job):
    """Batches: so many calls by map, gathered, then the next. One at a time is a submit."""
    if job.batch == 1:
        return submit(client, job)

    def batches():
        got = []
        for first in range(0, job.tasks, job.batch):
            got += client.gather(client.map(task, range(first, min(first + job.batch, job.tasks)), pure=False))
        return got

    took, got = clock(batches)
    return {**took, "checksum": checksum(got)}


def broadcast(client, job):
    """One result that all other tasks need."""
    def whole():
        first = client.submit(large, 0, job.size, pure=False)
        rest = [client.submit(large, i, VALUE, first, pure=False) for i in range(1, job.tasks)]
        return client.gather(rest)

    took, got = clock(whole)
    return {**took, "checksum": checksum(map(value_of, got))}


def transfer(client, job):
    """Results on one worker that a task on another needs: the time is of the second task."""
    a, b = list(client.scheduler_info()["workers"])[:2]
    total, walls, took = [], 0, {}
    for i in range(0, job.tasks, 2):
        here, there = (a, b) if i % 4 == 0 else (b, a)
        first = client.submit(large, i, job.size, workers=[here], pure=False)
        client.submit(len, first, workers=[here], pure=False).result()
        one, got = clock(lambda: client.submit(large, i + 1, VALUE, first, workers=[there], pure=False).result())
        total.append(value_of(got))
        walls += one["wall_s"]
        took = {**one, "start_s": took.get("start_s", one["start_s"]), "cpu_s": took.get("cpu_s", 0) + one["cpu_s"]}
    return {**took, "wall_s": walls, "bytes": job.size * (job.tasks // 2), "checksum": checksum(total)}


SHAPES = {"submit": submit, "python": python, "broadcast": broadcast, "transfer": transfer}

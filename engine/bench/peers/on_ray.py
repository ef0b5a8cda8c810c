"""Shapes on Ray, with a processor for each worker."""

import logging

import ray

from clock import clock, one_by_one
from tasks import VALUE, checksum, deps_of, large, sinks_of, task, value_of


def run(job):
    ray.init(num_cpus=job.workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    try:
        f = ray.remote(task)
        ray.get([f.remote(i) for i in range(10 * job.workers)])
        return SHAPES.get(job.shape, graph)(f, job)
    finally:
        ray.shutdown()


def graph(f, job):
    deps = deps_of(job.shape, job.tasks)
    sinks = sinks_of(deps, job.tasks)

    def whole():
        refs = []
        for i in range(job.tasks):
            refs.append(f.remote(i, *(refs[k] for k in deps(i))))
        return ray.get([refs[i] for i in sinks])

    took, got = clock(whole)
    return {**took, "checksum": checksum(got)}


def submit(f, job):
    took, got = one_by_one(lambda i: ray.get(f.remote(i)), range(job.tasks))
    return {**took, "checksum": checksum(got)}


def python(f, job):
    if job.batch == 1:
        return submit(f, job)

    def batches():
        got = []
        for first in range(0, job.tasks, job.batch):
            got += ray.get([f.remote(i) for i in range(first, min(first + job.batch, job.tasks))])
        return got

    took, got = clock(batches)
    return {**took, "checksum": checksum(got)}


def broadcast(_, job):
    f = ray.remote(large)

    def whole():
        first = f.remote(0, job.size)
        return ray.get([f.remote(i, VALUE, first) for i in range(1, job.tasks)])

    took, got = clock(whole)
    return {**took, "checksum": checksum(map(value_of, got))}


SHAPES = {"submit": submit, "python": python, "broadcast": broadcast}

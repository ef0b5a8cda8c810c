"""The shape true on HyperQueue, whose package runs commands."""

import os
import tempfile

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

from clock import clock


def run(job):
    with tempfile.TemporaryDirectory() as directory, LocalCluster(server_dir=directory) as cluster:
        os.chdir(directory)  # where it puts what commands print
        for _ in range(job.workers):
            cluster.start_worker(WorkerConfig(cores=1))
        client = cluster.client()

        def commands():
            todo = Job()
            for _ in range(job.tasks):
                todo.program(["true"])
            client.wait_for_jobs([client.submit(todo)])

        return clock(commands)[0]

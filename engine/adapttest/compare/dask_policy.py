"""dask.distributed's own Adaptive, asked once a second of virtual time.

Each line of standard input is a JSON object: what the scheduler and the cluster are like
at that moment. Each is answered with a line: {"scale": N} or {"close": [worker, ...]} or
{}. The decisions are those of distributed.deploy.Adaptive and of
distributed.Scheduler.adaptive_target and workers_to_close, run as they are, on objects that
have the attributes which these read.
"""

import asyncio
import json
import sys
import types

import distributed
from distributed import Scheduler
from distributed.deploy import Adaptive

UNKNOWN = 0.5  # distributed.scheduler.unknown-task-duration


class Worker:
    """What Scheduler.adaptive_target reads of a worker."""

    nthreads = 1
    memory_limit = 0
    nbytes = 0
    long_running = ()

    def __init__(self, name, tasks):
        self.address = self.name = name
        self.processing = dict.fromkeys(range(tasks))


class FakeScheduler:
    """What Scheduler.adaptive_target reads of the scheduler."""

    plugins = {}

    def __init__(self, state):
        average = state["average"]
        known = average if average >= 0 else UNKNOWN
        prefix = types.SimpleNamespace(duration_average=average)
        task = types.SimpleNamespace(prefix=prefix)
        self.queued = [task] * state["queued"]
        self.unrunnable = {}
        self.workers = {w["id"]: Worker(w["id"], w["tasks"]) for w in state["workers"]}
        # A task that has run for twice its estimate is taken to run as long again.
        self.total_occupancy = sum(
            (2 * w["elapsed"] if w["elapsed"] > 2 * known else known) + known * (w["tasks"] - 1)
            for w in state["workers"] if w["tasks"])
        self._known = known

    def _get_prefix_duration(self, prefix):
        return self._known

    def workers_to_close(self, **kwargs):
        return Scheduler.workers_to_close(self, **kwargs)

    async def adaptive_target(self, target_duration=None):
        return Scheduler.adaptive_target(self, target_duration)


class Remote:
    """The scheduler as Adaptive speaks to it."""

    def __init__(self, scheduler):
        self.scheduler = scheduler

    async def adaptive_target(self, target_duration=None):
        return await self.scheduler.adaptive_target(target_duration)

    async def workers_to_close(self, **kwargs):
        kwargs.pop("attribute", None), kwargs.pop("key", None)
        return self.scheduler.workers_to_close(**{k: v for k, v in kwargs.items() if v is not None})


class Policy(Adaptive):
    def __init__(self, maximum):
        cluster = types.SimpleNamespace(plan=set(), requested=set(), observed=set(), scheduler_comm=None)
        super().__init__(cluster, interval=0, minimum=0, maximum=maximum)
        self.answer = {}

    async def scale_up(self, n):
        self.answer = {"scale": n}

    async def scale_down(self, workers):
        self.answer = {"close": [str(w) for w in workers]}

    async def ask(self, state):
        c = self.cluster
        c.scheduler_comm = Remote(FakeScheduler(state))
        c.observed = {w["id"] for w in state["workers"]}
        c.requested = c.plan = c.observed | set(state["pending"])
        self.answer = {}
        await self.adapt()
        return self.answer


async def main():
    policy = None
    for line in sys.stdin:
        state = json.loads(line)
        if policy is None:
            policy = Policy(state["maximum"])
        print(json.dumps(await policy.ask(state)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(distributed.__version__)
    else:
        asyncio.run(main())

"""Runs a shape of `go run ./engine/bench` on another engine, with the same tasks and the same
checksum, one slot a worker, and prints one JSON object with the fields of bench's that it
can tell."""

import argparse
import importlib
import json
import os
import traceback

import clock  # first of all: it notes the time

ENGINES = {
    "dask": ("on_dask", {}),
    "dask-inf": ("on_dask", {"queueing": False}),
    "ray": ("on_ray", {}),
    "hyperqueue": ("on_hyperqueue", {}),
    "spark": ("on_spark", {}),
}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--engine", required=True, choices=ENGINES)
    p.add_argument("--shape", required=True)
    p.add_argument("--tasks", type=int, required=True)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--size", type=int, help="bytes of a large result")
    p.add_argument("--batch", type=int, help="Python calls at once")
    p.add_argument("--rows", type=int, help="rows of a shuffle")
    p.add_argument("--repeats", type=int, default=1, help="of a shuffle or a word count, in one process")
    p.add_argument("--input", help="text whose words are counted")
    job = p.parse_args()
    out = os.dup(1)
    os.dup2(2, 1)  # engines print what they like
    result = {"engine": job.engine, "shape": job.shape, "tasks": job.tasks, "batch": job.batch, "workers": job.workers}
    module, options = ENGINES[job.engine]
    try:
        took = importlib.import_module(module).run(job, **options)
        result |= {"cpu_us_per_task": took["cpu_s"] / job.tasks * 1e6, "tasks_per_s": job.tasks / took["wall_s"], **took}
    except Exception as e:
        traceback.print_exc()
        result["failed"] = f"{type(e).__name__}: {e}".splitlines()[0]
    with os.fdopen(out, "w") as f:
        print(json.dumps(result), file=f)


if __name__ == "__main__":
    main()

"""A job of 60 tasks of half a second on dask-yarn, and what its client sees: the last line is JSON."""
import json
import sys
import time

from dask.distributed import Client, as_completed
from dask_yarn import YarnCluster


def square(ran, i):
    import time

    with open(ran, "a") as f:
        f.write("%d\n" % i)
    time.sleep(0.5)
    return i * i


cluster = YarnCluster(environment="python:///opt/dask-yarn/python", n_workers=3, worker_vcores=1,
                      worker_memory="512MiB", scheduler_vcores=1, scheduler_memory="512MiB")
client = Client(cluster)
client.wait_for_workers(3)
print("application", cluster.app_id, flush=True)
began = time.time()
futures = client.map(square, [sys.argv[1]] * 60, range(60))
right, failed, why = 0, 0, ""
names = {f.key: i for i, f in enumerate(futures)}
try:
    for f in as_completed(futures):
        try:
            right += f.result(timeout=60) == names[f.key] ** 2
        except Exception as e:
            failed, why = failed + 1, why or repr(e)
        if right == 12:
            print("twelve", flush=True)
except BaseException as e:
    why = why or repr(e)
print(json.dumps({"right": right, "failed": failed, "why": why[:120], "seconds": round(time.time() - began, 1)}), flush=True)
import os
os._exit(0)  # its own shutdown hangs where the application is gone

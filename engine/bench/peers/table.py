"""Prints the medians of the results that bench-peers.sh has written, as a Markdown table,
with the versions and the machine. Losses are set bold."""

import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys

ENGINES = ["yarnd", "dask", "dask-inf", "ray", "hyperqueue", "spark"]
PACKAGES = ["distributed", "ray", "hyperqueue", "pyspark"]
ALL = 1_000_000  # what bench-peers.sh says where all calls are submitted at once
UNITS = {"shuffle": "rows", "wordcount": "MB", "transfer": "MB"}


def work_of(r):
    """How much a run did, in the shape's unit, and the seconds that took."""
    if r["shape"] == "shuffle":
        return r["records"]["count"], r["wall_s"]
    if r["shape"] == "wordcount":
        return r["records"]["bytes"] / 1e6, r["wall_s"]
    if "data_plane" in r:
        return r["data_plane"]["bytes"] / 1e6, r["data_plane"]["bytes"] / r["data_plane"]["bytes_per_s"]
    if "bytes" in r:
        return r["bytes"] / 1e6, r["wall_s"]
    return r["tasks"], r["wall_s"]


def name_of(r):
    if r["shape"] != "python":
        return r["shape"]
    batch = r["batch"]
    return "python, all at once" if batch == ALL else f"python, {batch} at once"


def read(path):
    """Results by shape and engine, and failures."""
    rows, failed, sums = {}, {}, {}
    with open(path) as f:
        for r in map(json.loads, f):
            if "failed" in r:
                failed[r["shape"], r["engine"]] = r["failed"]
                continue
            rows.setdefault((name_of(r), r["engine"]), []).append(r)
            if r.get("checksum"):
                sums.setdefault((r["shape"], r["tasks"], work_of(r)[0]), set()).add(r["checksum"])
    for (shape, tasks, _), seen in sums.items():
        if len(seen) > 1:
            sys.exit(f"table.py: {shape} of {tasks} tasks has checksums {sorted(seen)}")
    return rows, failed


def median(values):
    return statistics.median(values)


def row(shape, engine, rs, mine):
    """A line of the table, and the engine's median rate."""
    done = [work_of(r) for r in rs]
    rates = sorted(work / wall for work, wall in done)
    rate = median(rates)
    cpu = median(r["cpu_us_per_task"] * r["tasks"] / work for r, (work, _) in zip(rs, done))
    each = [(r.get("latency_us") or {}).get("p50") for r in rs]
    latency = f"{median(each):,.0f}" if all(each) else ""
    if not latency and shape == "chain":
        latency = f"{1e6 / rate:,.0f}"
    ratio = "" if engine == "yarnd" or not mine else f"{mine / rate:.1f} ×"
    if ratio and mine < rate:
        ratio = f"**{mine / rate:.2f} ×**"
    unit = UNITS.get(shape, "tasks")
    return (
        f"| {shape} | {engine} | {done[0][0]:,.0f} {unit} | {len(rs)} | {median(wall for _, wall in done):.3f} | {median(r['start_s'] for r in rs):.1f} "
        f"| {rate:,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f}) | {cpu:,.1f} | {latency} | {ratio} |"
    ), rate


def first_line(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return done.stdout.splitlines()[0]


def versions(rows):
    machine = next((r["machine"] for rs in rows.values() for r in rs if "machine" in r), {})
    print(f"yarnd {first_line('git', 'describe', '--tags', '--always', '--dirty')}, {machine.get('go', '')}; ", end="")
    print(", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES), end="; ")
    print(f"Python {platform.python_version()}; {first_line('java', '-version')}; {machine.get('cpus')} × {machine.get('model')}\n")


def main():
    rows, failed = read(sys.argv[1])
    versions(rows)
    print("| shape | engine | work | runs | s | s to start | a second (min-max) | µs CPU each | µs of a task or link | yarnd's rate is |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for shape in dict.fromkeys(shape for shape, _ in rows):
        mine = None
        for engine in ENGINES:
            if (shape, engine) in rows:
                line, rate = row(shape, engine, rows[shape, engine], mine)
                mine = rate if engine == "yarnd" else mine
                print(line)
    for (shape, engine), why in failed.items():
        print(f"\n{shape} on {engine} failed: {why}")


if __name__ == "__main__":
    main()

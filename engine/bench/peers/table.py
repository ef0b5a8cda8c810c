"""Prints the medians of the results that bench-peers.sh has written, as a Markdown table."""

import json
import statistics
import sys

ORDER = ["yarnd", "dask", "dask-inf", "ray", "hyperqueue"]


def main():
    rows, failed, sums = {}, set(), {}
    for line in open(sys.argv[1]):
        r = json.loads(line)
        key = r["shape"], r["engine"]
        if r.get("failed"):
            failed.add(key)
            continue
        rows.setdefault(key, []).append(r)
        if r.get("checksum"):
            sums.setdefault((r["shape"], r["tasks"]), set()).add(r["checksum"])
    for (shape, tasks), seen in sums.items():
        if len(seen) > 1:
            sys.exit(f"table.py: {shape} of {tasks} tasks has checksums {sorted(seen)}")
    shapes = list(dict.fromkeys(shape for shape, _ in rows))
    print("| shape | engine | tasks | runs | tasks/s (min-max) | µs CPU a task | µs a task or link | yarnd's rate is |")
    print("|---|---|---|---|---|---|---|---|")
    for shape in shapes:
        mine = statistics.median(r["tasks_per_s"] for r in rows[shape, "yarnd"])
        for engine in ORDER:
            if (shape, engine) in failed:
                print(f"| {shape} | {engine} | | failed | | | | |")
            if (shape, engine) not in rows:
                continue
            rs = rows[shape, engine]
            rates = sorted(r["tasks_per_s"] for r in rs)
            rate = statistics.median(rates)
            cpu = statistics.median(r["cpu_us_per_task"] for r in rs)
            p50 = [(r.get("latency_us") or {}).get("p50") for r in rs]
            each = statistics.median(p50) if all(p50) else 1e6 / rate
            ratio = "" if engine == "yarnd" else f"{mine / rate:.1f} ×"
            print(f"| {shape} | {engine} | {rs[0]['tasks']:,} | {len(rs)} | {rate:,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f}) | {cpu:,.1f} | {each:,.1f} | {ratio} |")


if __name__ == "__main__":
    main()

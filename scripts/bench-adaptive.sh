#!/usr/bin/env bash
# How many workers there are when: yarnd's own decisions beside those of dask.distributed's
# Adaptive and of an oracle that knows the trace, in virtual time, with a model of YARN's
# delays. Once with workers that start in 2.5 s, once with such that take 20 s. Two minutes.
#
#   SEEDS=5   how often, each time with other durations and delays
#   PYTHON    a Python that has distributed; else one is made in .cache/adaptive
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.cache/peers/bin/python}
if ! $python -c 'import distributed' 2>/dev/null; then
	python=.cache/adaptive/bin/python
	if ! $python -c 'import distributed' 2>/dev/null; then
		echo "== getting distributed" >&2
		python3 -m venv .cache/adaptive
		.cache/adaptive/bin/pip install -q distributed
	fi
fi
mkdir -p .cache/bench
CGO_ENABLED=0 go build -o .cache/bench/compare ./engine/adapttest/compare
for start in 2.5s 20s; do
	echo "== workers start in $start; distributed $($python engine/adapttest/compare/dask_policy.py --version)"
	.cache/bench/compare -python "$python" -seeds "${SEEDS:-5}" -start $start
done

#!/usr/bin/env bash
# The engine beside dask.distributed, Ray and HyperQueue, on this machine: the same tasks
# with the same checksum, alternating, medians. RUNS=5 is how often. Raw results, an object
# a line, go to .cache/bench/peers.jsonl; the table to standard output.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-5}
venv=.cache/peers
raw=.cache/bench/peers.jsonl
mkdir -p .cache/bench
if [ ! -x $venv/bin/ray ]; then
	echo "== getting the peers' packages" >&2
	python3 -m venv $venv
	$venv/bin/pip install -q --upgrade distributed ray hyperqueue
fi
$venv/bin/pip list 2>/dev/null | grep -iE '^(distributed|ray|hyperqueue) ' >&2
CGO_ENABLED=0 go build -o .cache/bench/bench ./engine/bench
: >$raw

ours() { # shape tasks
	.cache/bench/bench --shape "$1" --tasks "$2" --workers 2 --slots 1 --json | $venv/bin/python -c '
import json, sys
o = json.load(sys.stdin)
o["engine"] = "yarnd"
print(json.dumps(o))' >>$raw
}

peer() { # engine shape tasks
	$venv/bin/python engine/bench/peers/peers.py "$1" "$2" "$3" 2 2>>.cache/bench/peers.log >>$raw ||
		echo "{\"engine\": \"$1\", \"shape\": \"$2\", \"tasks\": $3, \"failed\": true}" >>$raw
}

# Peers get as many tasks as they do in about ten seconds; rates are compared. Chains,
# submits and commands are of the same number.
for run in $(seq "$runs"); do
	for spec in map:200000:10000 merge:200000:10000 tree:131071:8191 stencil:100000:10000 chain:1000:1000 submit:200:200; do
		IFS=: read -r shape mine theirs <<<"$spec"
		echo "== run $run of $runs: $shape" >&2
		ours "$shape" "$mine"
		for engine in dask dask-inf ray; do
			peer $engine "$shape" "$theirs"
		done
	done
	echo "== run $run of $runs: true" >&2
	ours true 2000
	peer hyperqueue true 500
done
$venv/bin/python engine/bench/peers/table.py $raw

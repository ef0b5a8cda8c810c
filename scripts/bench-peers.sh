#!/usr/bin/env bash
# The engine beside dask.distributed, Ray, HyperQueue and Spark, on this machine: the same
# tasks with the same checksum, with two workers of one slot (Spark: two cores), alternating,
# medians. Raw results, an object a line, go to .cache/bench/peers.jsonl; the table to
# standard output.
#
#   RUNS=5                    how often
#   PARTS="map shuffle"       which parts, of those listed below; all
#   SCALE=100                 percent of the numbers of tasks and of large results
#   SHUFFLE_ROWS=5000000      rows of 100 bytes
#   WORDCOUNT_BYTES=268435456 of text
#   SPARK_MEMORY=4g           heap of Spark's JVM
#   JAVA_HOME                 a Java of 17 or newer, unless one is in the PATH
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-5}
scale=${SCALE:-100}
rows=${SHUFFLE_ROWS:-5000000}
text_bytes=${WORDCOUNT_BYTES:-268435456}
parts=${PARTS:-map merge tree stencil chain submit true broadcast transfer python shuffle wordcount}
venv=.cache/peers
raw=.cache/bench/peers.jsonl
log=.cache/bench/peers.log
text=.cache/bench/text-$text_bytes
mkdir -p .cache/bench

wants() { [[ " $parts " == *" $1 "* ]]; }

if wants shuffle || wants wordcount; then
	java=${JAVA_HOME:+$JAVA_HOME/bin/}java
	if ! major=$("$java" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p') || [ "${major%%.*}" -lt 17 ]; then
		echo "bench-peers: Spark needs Java 17 or newer, and $java is ${major:-not there}: apt-get install openjdk-17-jre-headless, or set JAVA_HOME; or leave shuffle and wordcount out of PARTS" >&2
		exit 2
	fi
fi
if ! $venv/bin/python -c 'import distributed, hyperqueue, pyspark, ray' 2>/dev/null; then
	echo "== getting the peers' packages" >&2
	python3 -m venv $venv
	$venv/bin/pip install -q --upgrade distributed ray hyperqueue pyspark
fi
CGO_ENABLED=0 go build -o .cache/bench/bench ./engine/bench
PATH=$PWD/$venv/bin:$PATH # yarnd's Python functions run in the same interpreter
: >$raw
: >$log

scaled() { echo $((($1 * scale + 99) / 100)); }

failed() { # engine shape tasks
	echo "{\"engine\": \"$1\", \"shape\": \"$2\", \"tasks\": $3, \"failed\": \"it ended with an error: see $log\"}"
}

ours() { # shape tasks flags...
	local shape=$1 tasks=$2 out
	shift 2
	if out=$(.cache/bench/bench --shape "$shape" --tasks "$tasks" --workers 2 --slots 1 "$@" --json 2>>$log); then
		echo "{\"engine\": \"yarnd\", ${out#\{}"
	else
		failed yarnd "$shape" "$tasks"
	fi >>$raw
}

peer() { # engine shape tasks flags...
	local engine=$1 shape=$2 tasks=$3
	shift 3
	python engine/bench/peers/peers.py --engine "$engine" --shape "$shape" --tasks "$tasks" "$@" 2>>$log >>$raw || failed "$engine" "$shape" "$tasks" >>$raw
}

both() { # engines shape tasks-of-ours tasks-of-theirs flags...
	local engines=$1 shape=$2 mine=$3 theirs=$4 engine
	shift 4
	ours "$shape" "$mine" "$@"
	for engine in $engines; do
		peer "$engine" "$shape" "$theirs" "$@"
	done
}

# Rates are compared. Peers get as many tasks as they do in some seconds; what is told as
# a time, or as records or bytes a second, is of the same number.
part() {
	local three="dask dask-inf ray" n
	case $1 in
	map | merge | stencil) both "$three" "$1" "$(scaled 200000)" "$(scaled 10000)" ;;
	tree) both "$three" tree "$(scaled 131071)" "$(scaled 8191)" ;;
	chain) both "$three" chain "$(scaled 1000)" "$(scaled 1000)" ;;
	submit) both "$three" submit "$(scaled 200)" "$(scaled 200)" ;;
	true) both hyperqueue true "$(scaled 2000)" "$(scaled 500)" ;;
	broadcast) both "dask ray" broadcast 17 17 --size "$(scaled 67108864)" ;;
	transfer) both dask transfer 10 10 --size "$(scaled 419430400)" ;;
	python)
		both "dask ray" python "$(scaled 2000)" "$(scaled 300)" --batch 1
		both "dask ray" python "$(scaled 20000)" "$(scaled 2000)" --batch 16
		both "dask ray" python "$(scaled 100000)" "$(scaled 5000)" --batch 256
		both "dask ray" python "$(scaled 100000)" "$(scaled 10000)" --batch 1000000
		;;
	shuffle) both spark shuffle 16 16 --rows "$rows" --repeats 3 ;;
	wordcount) both spark wordcount 16 16 --input "$text" --size "$text_bytes" --repeats 3 ;;
	*) echo "bench-peers: no part $1" >&2 && exit 2 ;;
	esac
}

declare -A took
began=$SECONDS
for run in $(seq "$runs"); do
	for name in $parts; do
		start=$SECONDS
		part "$name"
		took[$name]=$((${took[$name]:-0} + SECONDS - start))
		echo "== run $run of $runs: $name took $((SECONDS - start)) s" >&2
	done
done
for name in $parts; do
	echo "== $name: ${took[$name]} s in all" >&2
done
echo "== all: $((SECONDS - began)) s" >&2
python engine/bench/peers/table.py $raw

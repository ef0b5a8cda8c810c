#!/usr/bin/env bash
# scripts/demo.sh embedded|hadoop: the main job, step by step, with what happened
# and how long each step took, on the cluster of yarnd minicluster or on real Hadoop.
# Everything that it makes is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
where=$1
bin=$PWD/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/yarnd-demo.XXXXXX")
app= cluster= files=$work
began=$SECONDS

case $where in
embedded)
	export YARND_HOME=$work/home PATH=$bin:$PATH
	here() { (cd "$work" && "$@"); }
	elsewhere() { (cd / && "$@"); } # another directory is all that there is of another host
	;;
hadoop)
	here() { dockertest/edge -u alice -- "$@"; }
	elsewhere() { dockertest/edge -n edge2 -u alice -- "$@"; }
	;;
*)
	echo "usage: scripts/demo.sh embedded|hadoop" >&2
	exit 2
	;;
esac

clean() {
	[ -z "$app" ] || here yarnd kill "$app" >/dev/null 2>&1 || true
	if [ -n "$cluster" ]; then kill "$cluster" && wait "$cluster" || true; fi
	[ "$where" = embedded ] || here sh -c 'hadoop-java org.apache.hadoop.fs.FsShell -rm -r -f -skipTrash demo-in demo-out; rm -rf /tmp/demo' >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap clean EXIT

step() { # step TITLE WHO COMMAND...: shows and times a command
	local title=$1 who=$2 from
	shift 2
	printf '\n── %s\n   $ %s\n' "$title" "$*"
	from=$(date +%s%N)
	"$who" "$@" 2>&1 | sed 's/^/   /'
	printf '   (%d ms)\n' $((($(date +%s%N) - from) / 1000000))
}

if [ "$where" = embedded ]; then
	printf '── a YARN cluster in one process, over the protocols of a real one\n   $ yarnd minicluster --nodes 3\n'
	from=$(date +%s%N)
	mkfifo "$work/ready"
	yarnd minicluster --nodes 3 >"$work/ready" 2>"$work/minicluster.log" &
	cluster=$!
	read -r line <"$work/ready" || { cat "$work/minicluster.log" >&2; exit 1; }
	eval "$line"
	files=$(dirname "$HADOOP_CONF_DIR")/user/$(id -un) # the home in its file system
	printf '   %s\n   (%d ms)\n\n' "$line" $((($(date +%s%N) - from) / 1000000))
else
	echo "yarnd on Hadoop in containers"
fi
goroot=$(go env GOROOT)
mkdir -p "$work/demo-in"
find "$goroot/src" -name '*.go' -type f -print0 | sort -z | sed -z -n '1,3000p' | xargs -0 cat | split -C 1m -d -a 3 - "$work/demo-in/part-"
echo "text: $(du -sh "$work/demo-in" | cut -f1) of Go's own source, in $(find "$work/demo-in" -type f | wc -l) files"
if [ "$where" = embedded ]; then
	mv "$work/demo-in" "$files/"
else
	tar -C "$work" -cf - demo-in | dockertest/edge -u alice -- sh -c 'rm -rf /tmp/demo && mkdir /tmp/demo && tar -C /tmp/demo -xf -'
	here hadoop-java org.apache.hadoop.fs.FsShell -put -f /tmp/demo/demo-in demo-in
fi

printf '\n── submit a cluster of 20 workers\n   $ yarnd submit --workers 20 --worker-memory 256MiB --wait workers:20\n'
from=$(date +%s%N)
app=$(here yarnd submit --workers 20 --worker-memory 256MiB --name demo --wait workers:20 2>"$work/stderr") || { cat "$work/stderr" >&2; exit 1; }
sed 's/^/   /' "$work/stderr"
printf '   %s\n   (%d ms to 20 workers)\n' "$app" $((($(date +%s%N) - from) / 1000000))
step "what runs: each container a process of its own, speaking mutual TLS" here yarnd status "$app"
if [ "$where" = embedded ]; then
	mine() { # the cluster's processes: those whose working directory is one of its containers
		for p in /proc/[0-9]*; do
			case $(readlink "$p/cwd" 2>/dev/null) in "$(dirname "$HADOOP_CONF_DIR")"/nodes/*) echo "${p#/proc/} $(tr '\0' ' ' <"$p/cmdline")" ;; esac
		done 2>/dev/null | grep -E '^[0-9]+ \./yarnd ' || true
	}
	mine >"$work/processes"
	printf '\n── %d processes\n' "$(wc -l <"$work/processes")"
	awk '{pids[$3] = pids[$3] " " $1} END {for (r in pids) print "   " r ":" pids[r]}' "$work/processes" | sort
fi
step "count words" here wordcount --app "$app" demo-in demo-out
if [ "$where" = embedded ]; then
	cat "$files"/demo-out/part-r-* | LC_ALL=C sort >"$work/ours"
	cat "$files"/demo-in/* | LC_ALL=C tr -s ' \t\n\r\f' '\n' | LC_ALL=C sort | LC_ALL=C uniq -c | LC_ALL=C awk '$2 != "" {print $2 "\t" $1}' | LC_ALL=C sort >"$work/theirs"
	cmp "$work/ours" "$work/theirs"
	echo "   the same as sort | uniq -c: $(wc -l <"$work/ours") different words"
fi
echo; echo "── leave: nobody is connected now; the cluster stays"
step "come back by id, from elsewhere" elsewhere yarnd connect "$app"
step "without any code: a command for each line" elsewhere sh -c "seq 1 8 | yarnd map $app -- sh -c 'echo item {} ran as process \$\$'"
step "scale to 5" elsewhere yarnd scale "$app" 5
scaled() { here yarnd status "$app" -o json | tr -d '\n ' | grep -q '"name":"worker","wanted":5,.*"running":5,.*"work":{"workers":5,'; }
for _ in $(seq 100); do scaled && break; sleep 0.2; done
scaled || { echo "not 5 workers after 20 s" >&2; exit 1; }
step "five workers are left" here yarnd status "$app"
scheduler=$(here yarnd status "$app" | awk '$2 == "scheduler" {print $1; exit}')
step "logs of the scheduler" here sh -c "yarnd logs $app --container $scheduler --file stderr | tail -5"
step "stop" elsewhere yarnd kill --graceful "$app"
ended=$app app=
step "it ended" here yarnd status "$ended"
printf '\nall of it took %d s\n' $((SECONDS - began))

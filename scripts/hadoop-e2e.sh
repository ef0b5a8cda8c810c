#!/usr/bin/env bash
# scripts/hadoop-e2e.sh [FLAG...]: the end-to-end tests on real Hadoop. Those on the clusters below, which wait most of their
# time, run beside the others; what they say comes last. Flags are those of go test.
set -uo pipefail
cd "$(dirname "$0")/.."
waiting=(ha secure-short secure) # two ResourceManagers; tokens that end soon; Kerberos
tests_on() { # tests_on CLUSTER: their names, with | between
	local files
	files=$(grep -l "dockertest\\.[A-Z][a-z]*(t, \"$1\")" dockertest/e2e/*_test.go | grep -v _chaos_)
	[ -n "$files" ] && sed -n 's/^func \(Test[A-Za-z0-9_]*\)(t \*testing.*/\1/p' $files | paste -sd'|'
}
said=$(mktemp -d)
beside=()
trap 'rm -rf "$said"; [ ${#beside[@]} -eq 0 ] || kill "${beside[@]}" 2>/dev/null' EXIT
all=
for cluster in "${waiting[@]}"; do
	tests=$(tests_on "$cluster")
	[ -n "$tests" ] || { echo "hadoop-e2e: no test on the cluster $cluster found" >&2; exit 1; }
	all+="${all:+|}$tests"
	go test -tags hadoop -count=1 -timeout 40m "$@" -run "^($tests)\$" ./dockertest/e2e >"$said/$cluster" 2>&1 &
	beside+=($!)
done
failed=0
go test -tags hadoop -count=1 -timeout 40m -v "$@" -skip "^($all)\$" ./dockertest/... >"$said/others" 2>&1 || failed=1
if [ $failed -eq 0 ]; then # where the time goes
	grep -E '^(ok|--- SKIP|--- PASS: .*\(([2-9][0-9]|[0-9]{3,})\.)' "$said/others"
else
	cat "$said/others"
fi
for i in "${!waiting[@]}"; do
	wait "${beside[$i]}" || failed=1
	echo "-- on ${waiting[$i]}: $(tests_on "${waiting[$i]}")"
	cat "$said/${waiting[$i]}"
done
beside=()
exit $failed

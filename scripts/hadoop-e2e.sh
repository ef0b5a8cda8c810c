#!/usr/bin/env bash
# scripts/hadoop-e2e.sh [FLAG...]: the end-to-end tests on real Hadoop. Those on the cluster with two ResourceManagers, which
# wait most of their time, run beside the others; what they say comes last. Flags are those of go test.
set -uo pipefail
cd "$(dirname "$0")/.."
files=$(grep -l 'dockertest\.[A-Z][a-z]*(t, "ha")' dockertest/e2e/*_test.go | grep -v _chaos_)
tests=$(sed -n 's/^func \(Test[A-Za-z0-9_]*\)(t \*testing.*/\1/p' $files | paste -sd'|')
[ -n "$tests" ] || { echo "hadoop-e2e: no test on the cluster with two ResourceManagers found" >&2; exit 1; }
said=$(mktemp)
beside=
trap 'rm -f "$said"; [ -z "$beside" ] || kill "$beside" 2>/dev/null' EXIT
go test -tags hadoop -count=1 -timeout 40m "$@" -run "^($tests)\$" ./dockertest/e2e >"$said" 2>&1 &
beside=$! failed=0
go test -tags hadoop -count=1 -timeout 40m "$@" -skip "^($tests)\$" ./dockertest/... || failed=1
wait "$beside" || failed=1
beside=
echo "-- with two ResourceManagers: $tests"
cat "$said"
exit $failed

#!/usr/bin/env bash
# scripts/hadoop-protocols.sh [CLUSTER]: runs, inside an edge node, every test that is
# written for the real daemons (its
# file has the tag hadoop), those of dockertest apart. The packages' other tests
# need Go's own tools, and have run already.
set -uo pipefail
cd "$(dirname "$0")/.."
cluster=${1:-simple} failed=0
files=$(grep -rl --include='*_test.go' '^//go:build hadoop' . | grep -v '^./\(dockertest\|\.cache\)/')
for dir in $(dirname $files | sort -u); do
	tests=$(grep -l '^//go:build hadoop' "$dir"/*_test.go | xargs sed -n 's/^func \(Test[A-Za-z0-9_]*\)(t \*testing.*/\1/p' | grep -v '^TestMain$' | paste -sd'|')
	echo "-- $dir"
	dockertest/gotest -c "$cluster" "$dir" -test.count=1 -test.timeout=15m -test.run "^($tests)\$" || failed=1
done
exit $failed

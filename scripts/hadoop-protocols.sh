#!/usr/bin/env bash
# Runs, inside an edge node, the tests of every package that has some for the real
# daemons (//go:build hadoop), those of dockertest apart.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
for dir in $(grep -rl --include='*_test.go' '^//go:build hadoop' . | grep -v '^./dockertest/' | xargs -rn1 dirname | sort -u); do
	dockertest/gotest "$dir" -test.count=1 -test.timeout=15m || failed=1
done
exit $failed

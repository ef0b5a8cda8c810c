#!/usr/bin/env bash
# The packages of ours that start goroutines: those for the race detector.
cd "$(dirname "$0")/.."
grep -rlE --include='*.go' '^\s*go (func|[a-zA-Z_.]+\()' . | grep -v '^./\(bin\|\.cache\|dockertest\|examples\|cmd\)/' | xargs -n1 dirname | sort -u

#!/usr/bin/env bash
# The packages of ours that start goroutines: those for the race detector. The simulator
# has one that prints how far it is.
cd "$(dirname "$0")/.."
grep -rlE --include='*.go' '^\s*go (func|[a-zA-Z_.]+\()|\.Go\(' . | grep -v '^./\(bin\|\.cache\|dockertest\|examples\|cmd\|engine/schedtest\)/' | xargs -n1 dirname | sort -u

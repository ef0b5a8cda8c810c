#!/usr/bin/env bash
# The clusters in containers that run now, by name, on one line.
docker ps --format '{{.Names}}' 2>/dev/null | sed -n 's/^yarnd-\(.*\)-rm$/\1/p' | sort | tr '\n' ' '

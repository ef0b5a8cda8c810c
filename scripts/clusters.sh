#!/usr/bin/env bash
# The clusters that have a container here, running or not, by name, on one line.
docker ps -a --filter label=yarnd.cluster --format '{{.Label "yarnd.cluster"}}' 2>/dev/null | sort -u | tr '\n' ' '

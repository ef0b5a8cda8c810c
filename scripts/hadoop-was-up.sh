#!/usr/bin/env bash
# Ends with 0 when the cluster in containers runs already.
docker ps --format '{{.Names}}' 2>/dev/null | grep -q '^yarnd-simple-rm$'

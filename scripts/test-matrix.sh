#!/usr/bin/env bash
# scripts/test-matrix.sh [VERSION…]: the tests that are written for the real daemons,
# on each Hadoop release in turn, each on a cluster of its own that is gone afterwards;
# then Kerberos with each protection, and encryption zones.
set -uo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 3.3.6 3.4.2 3.5.0
rows=() failed=0
for version; do
	name=matrix-${version//./-} verdict=passed start=$SECONDS
	printf '\n== Hadoop %s\n' "$version"
	{ make --no-print-directory cluster-up CLUSTER_NAME="$name" HADOOP="$version" && scripts/hadoop-protocols.sh "$name"; } || { verdict=FAILED; failed=$((failed + 1)); }
	make --no-print-directory cluster-down CLUSTER_NAME="$name" || failed=$((failed + 1))
	rows+=("$(printf 'Hadoop %-8s %-8s %5.1f min' "$version" "$verdict" "$(awk "BEGIN{print ($SECONDS-$start)/60}")")")
done
printf '\n== Kerberos\n'
verdict=passed start=$SECONDS
YARND_CLUSTER_PREFIX=matrix- go test -tags 'hadoop matrix' -count=1 -v -timeout 20m ./dockertest -run '^Test(Matrix)?Kerberos' || { verdict=FAILED; failed=$((failed + 1)); }
YARND_CLUSTER_PREFIX=matrix- go test -tags 'hadoop matrix' -count=1 -v -timeout 20m ./dockertest/e2e -run '^TestMatrix' || { verdict=FAILED; failed=$((failed + 1)); }
for composition in secure secure-integrity secure-auth secure-aes secure-short secure-kms; do
	make --no-print-directory cluster-down CLUSTER_NAME="matrix-$composition" || failed=$((failed + 1))
done
rows+=("$(printf 'Kerberos        %-8s %5.1f min' "$verdict" "$(awk "BEGIN{print ($SECONDS-$start)/60}")")")
printf '\n== what ran\n'
printf '  %s\n' "${rows[@]}"
[ "$failed" -eq 0 ]

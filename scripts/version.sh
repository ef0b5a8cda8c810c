#!/usr/bin/env bash
# scripts/version.sh: what the version of this checkout is, by the rules of semver.org and
# in the order of packages: a build after a release is newer than the release.
#
#   v1.2.3              1.2.3
#   3 commits later     1.2.3+3.gabcdef0
#   before the first    0.0.0-dev.gabcdef0
set -euo pipefail
describe=$(git describe --tags --match 'v[0-9]*' --always)
case $describe in
v*) version=$(sed -E 's/^v//; s/-([0-9]+)-(g[0-9a-f]+)$/+\1.\2/' <<<"$describe") ;;
*) version=0.0.0-dev.g$describe ;;
esac
git update-index -q --refresh >/dev/null || true
if ! git diff-index --quiet HEAD; then
	case $version in
	*+*) version+=.dirty ;;
	*) version+=+dirty ;;
	esac
fi
echo "$version"

#!/usr/bin/env bash
# scripts/release-test.sh: the packages of this machine's architecture are made, twice
# the same, and hold what they should, in working order.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$(mktemp -d)
trap 'rm -rf "$dist"' EXIT
arch=$(go env GOHOSTARCH)
for n in 1 2; do ARCHES=$arch scripts/release.sh "$dist/$n"; done
diff "$dist/1/SHA256SUMS" "$dist/2/SHA256SUMS"
(cd "$dist/1" && sha256sum --check --quiet SHA256SUMS)

mkdir "$dist/tarball" "$dist/deb"
tar -C "$dist/tarball" --strip-components=1 -xzf "$dist"/1/yarnd-*.tar.gz
holds() { # holds ROOT PREFIX: the same things, in a package's and in a tarball's places
	"$1/$2bin/yarnd" version | grep -q '^yarnd '
	"$1/$2bin/yarnd" env --help >/dev/null
	gzip -dc "$1/$2share/man/man1/yarnd-submit.1.gz" | grep -q '^.TH "YARND-SUBMIT"'
	grep -q yarnd "$1/$2share/bash-completion/completions/yarnd"
	for f in share/doc/yarnd/docs/install.md share/doc/yarnd/copyright lib/systemd/system/{yarnd-scheduler,yarnd-worker@}.service; do test -s "$1/$2$f"; done
}
holds "$dist/tarball" ""
if command -v dpkg-deb >/dev/null; then
	dpkg-deb -x "$dist"/1/yarnd_*.deb "$dist/deb"
	holds "$dist/deb" usr/
	cmp "$dist/deb/usr/bin/yarnd" "$dist/tarball/bin/yarnd"
fi
if command -v rpm >/dev/null; then
	rpm -qpl "$dist"/1/yarnd-*.rpm | grep -qx /usr/bin/yarnd
fi
echo "packages: the same twice, and whole"

#!/usr/bin/env bash
# scripts/release-test.sh: the packages of this machine's architecture are made, twice
# the same, and hold what they should, in working order. The bill of materials is of that
# binary, and names each of its modules, with a licence.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$(mktemp -d)
trap 'rm -rf "$dist"' EXIT

# A build after a release is newer than it for dpkg and rpm; other tags name no version.
version=$PWD/scripts/version.sh repo="$dist/a repo"
is() { # is PATTERN: the version there
	(cd "$repo" && "$version") | grep -Exq "$1"
}
commit() { git -C "$repo" -c user.name=x -c user.email=x@example.com commit -q --allow-empty -m "$1"; }
git init -q "$repo"
commit one
is '0\.0\.0-dev\.g[0-9a-f]+'
git -C "$repo" tag v1.2.3
is '1\.2\.3'
commit two && git -C "$repo" tag nightly
is '1\.2\.3\+1\.g[0-9a-f]+'
touch "$repo/new" && git -C "$repo" add new
is '1\.2\.3\+1\.g[0-9a-f]+\.dirty'
git -C "$repo" tag v1.3.0-rc.1
is '1\.3\.0-rc\.1\+dirty'

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
	for f in share/doc/yarnd/docs/install.md share/doc/yarnd/{copyright,THIRD-PARTY} lib/systemd/system/{yarnd-scheduler,yarnd-worker@}.service; do test -s "$1/$2$f"; done
}
holds "$dist/tarball" ""

bill=$(echo "$dist"/1/yarnd-*.cdx.json)
grep -q "  ${bill##*/}\$" "$dist/1/SHA256SUMS"
grep -q '"serialNumber": "urn:uuid:' "$bill"
grep -q "\"$(sha256sum <"$dist/tarball/bin/yarnd" | cut -d' ' -f1)\"" "$bill"
modules=$(go version -m "$dist/tarball/bin/yarnd" | awk '$1 == "dep" { print $2 "@" $3 }')
[ "$(wc -l <<<"$modules")" -gt 20 ]
while read -r m; do grep -qF "\"pkg:golang/${m//+/%2B}\"," "$bill" || { echo "the bill of materials does not name $m"; exit 1; }; done <<<"$modules"
# A licence for each of them, for the program and for the standard library.
[ "$(grep -c '"licenses": ' "$bill")" -eq $(($(wc -l <<<"$modules") + 2)) ]

# So are the licences' own texts in the packages.
while read -r m; do grep -qxF "${m%@*} ${m#*@}" "$dist/tarball/share/doc/yarnd/THIRD-PARTY" || { echo "there are no notices of $m"; exit 1; }; done <<<"$modules"
grep -q '^Copyright .*The Go Authors' "$dist/tarball/share/doc/yarnd/THIRD-PARTY"

if command -v dpkg-deb >/dev/null; then
	dpkg-deb -x "$dist"/1/yarnd_*.deb "$dist/deb"
	holds "$dist/deb" usr/
	cmp "$dist/deb/usr/bin/yarnd" "$dist/tarball/bin/yarnd"
fi
if command -v rpm >/dev/null; then
	rpm -qpl "$dist"/1/yarnd-*.rpm | grep -qx /usr/bin/yarnd
fi
echo "packages: the same twice, and whole; ${bill##*/} names $(wc -l <<<"$modules") modules"

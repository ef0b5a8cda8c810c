#!/usr/bin/env bash
# scripts/release.sh [DIR]: a deb, an rpm and a tarball for each architecture of
# $ARCHES (amd64 arm64), each binary's bill of materials, and SHA256SUMS of all, in DIR
# (dist). The same commit and Go give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go} packaging=$PWD/packaging out=$(realpath -m "${1:-dist}")
version=$(scripts/version.sh)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH CGO_ENABLED=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # build ARCH FILE
	GOOS=linux GOARCH=$1 $go build -trimpath -ldflags "-s -w -X github.com/yarnd/yarnd.Version=$version" -o "$2" ./cmd/yarnd
}

# Manual pages and completion are the program's own word.
yarnd=$work/yarnd
build "$($go env GOHOSTARCH)" "$yarnd"
"$yarnd" version
share=$work/share
mkdir -p "$share"/{bash-completion/completions,fish/vendor_completions.d,zsh/site-functions,doc/yarnd}
"$yarnd" docs man "$share/man/man1"
gzip -9n "$share"/man/man1/*.1
"$yarnd" completion bash >"$share/bash-completion/completions/yarnd"
"$yarnd" completion fish >"$share/fish/vendor_completions.d/yarnd.fish"
"$yarnd" completion zsh >"$share/zsh/site-functions/_yarnd"
cp -r README.md CHANGELOG.md docs "$share/doc/yarnd/"
cp LICENSE "$share/doc/yarnd/copyright"

mkdir "$work/dist"
$go build -modfile=tools.mod -o "$work/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
$go build -o "$work/sbom" ./packaging/sbom
for arch in ${ARCHES:-amd64 arm64}; do
	name=yarnd-$version-linux-$arch stage=$work/yarnd-$version-linux-$arch
	mkdir -p "$stage/bin" "$stage/lib/systemd/system"
	build "$arch" "$stage/bin/yarnd"
	"$work/sbom" -version "$version" "$stage/bin/yarnd" >"$work/dist/$name.cdx.json"
	cp -r "$share" "$stage/share"
	"$work/sbom" -notices "$stage/bin/yarnd" >"$stage/share/doc/yarnd/THIRD-PARTY"
	cp packaging/systemd/*.service "$stage/lib/systemd/system/"
	chmod -R u=rwX,go=rX "$stage"
	for packager in deb rpm; do
		(cd "$stage" && ARCH=$arch VERSION=$version "$work/nfpm" package --config "$packaging/nfpm.yaml" --packager $packager --target "$work/dist/")
	done
	tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$work/dist/$name.tar.gz"
done
(cd "$work/dist" && sha256sum -- * >SHA256SUMS)
mkdir -p "$out"
rm -f "$out"/yarnd[-_]*.{deb,rpm,tar.gz,cdx.json}
mv "$work"/dist/* "$out/"
ls -l "$out"

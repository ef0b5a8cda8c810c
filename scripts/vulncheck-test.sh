#!/usr/bin/env bash
# scripts/vulncheck-test.sh: what scripts/vulncheck.sh does with databases that are made
# for it: a vulnerability fails, a database that is away does not, code that cannot be
# read does.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

entry() { # entry DIRECTORY MODULE PACKAGE SYMBOL [MORE]: a database with one vulnerability, never mended
	local more='"database_specific": {"url": "https://example.com"}, '
	[ $# -eq 4 ] || more=$5
	mkdir "$work/$1"
	cat >"$work/$1/GO-2000-0001.json" <<-END
		{$more"schema_version": "1.3.1", "id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z", "published": "2000-01-01T00:00:00Z",
		 "details": "made for a test", "affected": [{"package": {"name": "$2", "ecosystem": "Go"},
		 "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
		 "ecosystem_specific": {"imports": [{"path": "$3", "symbols": ["$4"]}]}}]}
	END
}

is() { # is CODE PATTERN DATABASE PACKAGES
	local code=0
	GOVULNDB=$3 scripts/vulncheck.sh "${@:4}" >"$work/out" 2>&1 || code=$?
	if [ $code -ne "$1" ] || ! grep -q "$2" "$work/out"; then
		echo "vulncheck.sh ${*:4}, with $3: ends with $code, want $1 and \"$2\". It said:"
		cat "$work/out"
		exit 1
	fi
}

entry go stdlib debug/buildinfo ReadFile
entry library github.com/google/licensecheck github.com/google/licensecheck Scan
entry other github.com/google/licensecheck github.com/google/licensecheck NewScanner
is 1 'buildinfo.ReadFile' "file://$work/go" ./packaging/sbom
is 1 'licensecheck.Scan' "file://$work/library" ./packaging/sbom
# govulncheck crashes over this one, in the middle of saying what it found, and ends with
# 0 or 2: its main goroutine may be faster than the one that crashes.
entry crash stdlib debug/buildinfo ReadFile ''
is 1 'Vulnerability #1: GO-2000-0001' "file://$work/crash" ./packaging/sbom
is 0 'Your code is affected by 0 vulnerabilities' "file://$work/other" ./packaging/sbom

is 75 'no database; http://127.0.0.1:1: ' http://127.0.0.1:1 ./packaging/sbom
is 75 'no database; file:///nowhere: ' file:///nowhere ./packaging/sbom
is 75 'no database; made for a test' 'made for a test' ./packaging/sbom
# One that answers first, and fails when it is asked for what the code uses.
mkdir -p "$work/torn/index"
echo '{"modified": "2000-01-01T00:00:00Z"}' >"$work/torn/index/db.json"
echo '[{"path": "github.com/google/licensecheck", "vulns": [{"id": "GO-2000-0002", "modified": "2000-01-01T00:00:00Z"}]}]' >"$work/torn/index/modules.json"
is 75 "no database; file://$work/torn: " "file://$work/torn" ./packaging/sbom

is 1 'no required module provides package\|no such file or directory\|directory not found' "file://$work/other" ./nowhere
mkdir "$work/broken"
printf 'module broken\n\ngo 1.26\n' >"$work/broken/go.mod"
echo 'package broken; func f() { return 1 }' >"$work/broken/f.go"
is 1 'too many return values' "file://$work/other" "-C=$work/broken" ./...
echo "vulncheck: finds what is there, and fails for nothing else"

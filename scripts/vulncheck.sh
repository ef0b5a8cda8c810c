#!/usr/bin/env bash
# scripts/vulncheck.sh [PACKAGES]: known vulnerabilities in what our code calls, in
# libraries and in Go's own, by govulncheck. Exit code: 0 none, 1 found, or the code
# cannot be read, 75 not looked for, since no database is reachable.
#
# The database is $GOVULNDB where that is set, else vuln.go.dev, else its source, which
# the module proxy has as golang.org/x/vulndb.
#
# Packages are all but those that need Docker's client: no program of ours has those in
# it but the tests, and Docker's vulnerabilities are of its daemon, which they do not run.
#
# A database may go away in the middle. So where govulncheck fails, and has named no
# vulnerability, the same is done once more with a database that is empty: if that goes
# well, the code can be read, and the database was at fault.
set -uo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/empty"
check=$work/govulncheck why=""
go build -C lint -o "$check" golang.org/x/vuln/cmd/govulncheck || exit 1
if [ $# -eq 0 ]; then
	docker='{{$p := .ImportPath}}{{range .Deps}}{{if eq . "github.com/ory/dockertest/v3"}}{{$p = ""}}{{end}}{{end}}{{$p}}'
	set -- $(go list -f "$docker" ./...) || exit 1
fi

answers() { # answers DATABASE: it can be asked
	"$check" -db "$1" -mode query -json stdlib@v1.0.0 >/dev/null 2>"$work/error" && return
	why="$why; $1: $(tail -1 "$work/error")"
	return 1
}

module() { # the newest source of the database is in the module cache
	go mod download -json golang.org/x/vulndb@latest >"$work/module" 2>"$work/error" && return
	why="$why; golang.org/x/vulndb: $(sed -n 's/.*"Error": "\(.*\)".*/\1/p' "$work/module")$(tail -1 "$work/error")"
	return 1
}

field() { # field NAME: of what was downloaded
	sed -n 's/.*"'"$1"'": "\(.*\)".*/\1/p' "$work/module"
}

look() { # look DATABASE NAME PACKAGES: 0 none, 1 found or unreadable, 2 the database is at fault
	local db=$1 name=$2 code clean='^No vulnerabilities found\.|^Your code is affected by 0 '
	shift 2
	printf 'vulnerabilities: by %s, %s\n' "$name" "$(go version)"
	"$check" -db "$db" "$@" 2>"$work/error" | tee "$work/out"
	code=${PIPESTATUS[0]}
	cat "$work/error" >&2
	{ [ "$code" -eq 3 ] || grep -q '^Vulnerability #' "$work/out"; } && return 1
	[ "$code" -eq 0 ] && grep -qE "$clean" "$work/out" && return 0 # where it crashes it may end with 0
	"$check" -db "file://$work/empty" "$@" >/dev/null 2>&1 || return 1
	why="$why; $name: $(tail -1 "$work/error")"
	return 2
}

databases=(https://vuln.go.dev golang.org/x/vulndb)
[ -z "${GOVULNDB:-}" ] || databases=("$GOVULNDB")
for db in "${databases[@]}"; do
	name=$db
	if [ "$db" = golang.org/x/vulndb ]; then
		module || continue
		name="$db $(field Version)" db=file://$(field Dir)/data/osv
	fi
	answers "$db" || continue
	look "$db" "$name" "$@"
	code=$?
	[ $code -eq 2 ] || exit $code
done
echo "not looked for: no database$why"
exit 75

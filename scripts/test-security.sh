#!/usr/bin/env bash
# scripts/test-security.sh [short]: the proof that nobody gets in. FUZZ is how long each decoder of what strangers send is fuzzed:
# 10s, and short 1s. short is a part of make test, which has run the other parts' tests: they are only looked for.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-whole}
[ "$mode" = short ] && fuzz=${FUZZ:-1s} || fuzz=${FUZZ:-10s}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ran() { # ran NAMES PACKAGE...: the tests of each package that are named, and each of the names must have been one's
	local names=$1 package name out all=""
	shift
	for package; do
		if [ "$mode" = short ]; then
			out=$(go test -list "$names" "$package")
		else
			out=$(go test -count=1 -v "$package" -run "$names") || { printf '%s\n' "$out"; return 1; }
			out=$(grep -E '^--- PASS' <<<"$out" || true)
		fi
		out=$(grep -oE '\bTest[A-Za-z0-9_]+' <<<"$out") || { echo "$package has no test whose name has one of $names"; return 1; }
		printf '%s: %d tests\n' "$package" "$(wc -l <<<"$out")"
		all+=$out$'\n'
	done
	for name in ${names//|/ }; do
		grep -qE "^[A-Za-z]*${name#^}" <<<"$all" || { echo "no test is named $name"; return 1; }
	done
}

# Before Go 1.27 the end of the time was now and then taken for a failure: go.dev/issue/75804. What was found has an input that fails.
late() { grep -qx '    context deadline exceeded' "$1" && ! grep -qE 'Failing input|panic|_test\.go:' "$1"; }

fuzz() { # fuzz PACKAGE: each of its targets, by one program
	local package=$1 targets target
	go test -c -fuzz=. -o "$work/fuzz" "$package"
	targets=$("$work/fuzz" -test.list '^Fuzz' | grep '^Fuzz') || { echo "$package has nothing that is fuzzed"; return 1; }
	for target in $targets; do # in the package's folder, where what failed is kept
		printf '%s %s: ' "$package" "$target"
		(cd "$package" && "$work/fuzz" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$fuzz" -test.fuzzminimizetime 10x \
			-test.fuzzcachedir "$(go env GOCACHE)/fuzz/github.com/yarnd/yarnd/${package#./}") >"$work/said" 2>&1 || late "$work/said" || { cat "$work/said"; return 1; }
		grep '^fuzz: elapsed' "$work/said" | tail -1
	done
}

echo "== every port of a running application, with each certificate that is not welcome; secrets; core dumps; floods"
if [ "$mode" = short ]; then
	ran '^TestSecurity' ./survive
else
	go test -count=1 -v ./survive -run '^TestSecurity' -flood 10000 | tee /dev/stderr | grep '^--- PASS: TestSecurity' >/dev/null
fi
ran 'NoCore' .
echo "== roles, joining, claiming, tokens, replay"
ran 'Role|Claim|Proof|Frame|Owner|Viewer|Guest|Middle|Refus|Stranger|Join|Secret|Silent|BadRequest|OldSchedulers|Token|Subject|Server|Client|Plain|Access' \
	./identity ./appmaster/join ./appmaster/claim ./appmaster/rights ./appmaster
ran 'Room|Listen' ./identity/strangers
echo "== Hadoop's servers and who stands between: downgrades, proofs, protection"
[ "$mode" = short ] || go test -count=1 ./hadooprpc/sasl/... ./hadooprpc/ipc ./hadooprpc/login ./hadooprpc/token ./hadooprpc/kms
ran 'Transfer|NoKeyToEncrypt|PrivilegedPorts' ./hadooprpc/hdfs
ran 'Protection|KMS' ./edgeclient
echo "== decoders of what somebody says before he has proven who he is, or could be anybody's file: each for $fuzz"
for package in ./appmaster/join ./appmaster/claim ./hadooprpc/sasl ./hadooprpc/sasl/gssapi ./hadooprpc/sasl/spnego ./hadooprpc/sasl/krb5 ./hadooprpc/ipc ./hadooprpc/token ./hadooprpc/hdfs ./hadooprpc/wire ./identity; do
	fuzz "$package"
done

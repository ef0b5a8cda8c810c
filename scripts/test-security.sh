#!/usr/bin/env bash
# scripts/test-security.sh: the proof that nobody gets in. FUZZ=10s is how long each decoder of what strangers send is fuzzed.
set -euo pipefail
cd "$(dirname "$0")/.."

ran() { # ran NAMES PACKAGE...: the tests of each package that are named, and each of the names must have been one's
	local names=$1 package out all=""
	shift
	for package; do
		out=$(go test -count=1 -v "$package" -run "$names") || { printf '%s\n' "$out"; return 1; }
		out=$(grep -E '^--- PASS' <<<"$out") || { echo "$package has no test whose name has one of $names"; return 1; }
		printf '%s: %d tests\n' "$package" "$(wc -l <<<"$out")"
		all+=$out$'\n'
	done
	for package in ${names//|/ }; do # here, a name
		grep -qE "^--- PASS: [A-Za-z]*${package#^}" <<<"$all" || { echo "no test is named $package"; return 1; }
	done
}

echo "== every port of a running application, with each certificate that is not welcome; secrets; floods"
go test -count=1 -v ./survive -run '^TestSecurity' -flood 10000 | tee /dev/stderr | grep '^--- PASS: TestSecurity' >/dev/null
ran 'NoCore' .
echo "== roles, joining, claiming, tokens, replay"
ran 'Role|Claim|Proof|Frame|Owner|Viewer|Guest|Middle|Refus|Stranger|Join|Secret|Silent|BadRequest|OldSchedulers|Token|Subject|Server|Client|Plain|Access' \
	./identity ./appmaster/join ./appmaster/claim ./appmaster/rights ./appmaster
echo "== Hadoop's servers and who stands between: downgrades, proofs, protection"
go test -count=1 ./hadooprpc/sasl/... ./hadooprpc/ipc ./hadooprpc/login ./hadooprpc/token ./hadooprpc/kms
ran 'Transfer|NoKeyToEncrypt|PrivilegedPorts' ./hadooprpc/hdfs
ran 'Protection|KMS' ./edgeclient
echo "== decoders of what somebody says before he has proven who he is, or could be anybody's file"
for package in ./appmaster/join ./appmaster/claim ./hadooprpc/sasl ./hadooprpc/sasl/gssapi ./hadooprpc/sasl/spnego ./hadooprpc/sasl/krb5 ./hadooprpc/ipc ./hadooprpc/token ./hadooprpc/hdfs ./hadooprpc/wire ./identity; do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz') || { echo "$package has nothing that is fuzzed"; exit 1; }
	for target in $targets; do
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZ:-10s}" -fuzzminimizetime 10x | grep -v '^fuzz: elapsed'
	done
done

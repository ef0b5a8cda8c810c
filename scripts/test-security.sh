#!/usr/bin/env bash
# scripts/test-security.sh: the proof that nobody gets in. FUZZ=10s is how long each decoder of what strangers send is fuzzed.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== every port of a running application, with each certificate that is not welcome; secrets; floods"
go test -count=1 -v ./survive -run '^TestSecurity' -flood 10000
echo "== roles, joining, claiming, tokens, replay"
go test -count=1 ./identity ./appmaster/join ./appmaster/claim ./appmaster/rights ./appmaster -run 'Role|Claim|Proof|Frame|Caller|Owner|Viewer|Guest|Middle|Refus|Stranger|Join|Secret|Silent|BadRequest|OldSchedulers|Token|Subject|Server|Client|Plain|Session|Access'
echo "== Hadoop's servers and who stands between: downgrades, proofs, protection"
go test -count=1 ./hadooprpc/sasl/... ./hadooprpc/ipc ./hadooprpc/login ./hadooprpc/token ./hadooprpc/kms
echo "== decoders of what somebody says before he has proven who he is, or could be anybody's file"
for package in ./appmaster/join ./appmaster/claim ./hadooprpc/sasl ./hadooprpc/sasl/gssapi ./hadooprpc/sasl/spnego ./hadooprpc/sasl/krb5 ./hadooprpc/ipc ./hadooprpc/token ./identity; do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZ:-10s}" | grep -v '^fuzz: elapsed'
	done
done

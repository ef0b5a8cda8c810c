#!/usr/bin/env bash
# scripts/test.sh [fast]: every test, or those that need nothing but Go.
#
# Each part is timed and listed at the end, with what could not run and why.
# Where CI is set, nothing may be left out: a part that cannot run is a failure. Known
# vulnerabilities alone may: their database lies in the network.
set -uo pipefail
cd "$(dirname "$0")/.."
mode=${1:-all}
export CGO_ENABLED=0
rows=() failed=0 skipped=0

part() { # part NAME COMMAND...
	local name=$1 start=$SECONDS before verdict=passed
	shift
	before=$(processors)
	printf '\n== %s\n' "$name"
	"$@" || { verdict=FAILED; failed=$((failed + 1)); }
	rows+=("$(printf '%-34s %-8s %5.1f min, processors busy %3d %%' "$name" "$verdict" "$(awk "BEGIN{print ($SECONDS-$start)/60}")" "$(busy $before $(processors))")")
	[ "$verdict" = passed ]
}

processors() { awk '/^cpu /{printf "%.0f %.0f\n", $2+$3+$4+$7+$8, $2+$3+$4+$5+$6+$7+$8; exit}' /proc/stat; } # what this machine has worked, and could have
busy() { echo $((100 * ($3 - $1) / ($4 > $2 ? $4 - $2 : 1))); }

leave_out() { # leave_out NAME WHY
	printf '\n== %s: left out: %s\n' "$1" "$2"
	rows+=("$(printf '%-34s %-8s %s' "$1" "left out" "$2")")
	if [ -n "${CI:-}" ]; then failed=$((failed + 1)); else skipped=$((skipped + 1)); fi
}

# Whether CI is set or not, it is no failure that no database is reachable, or that the Go is an
# older one than go.mod's, which has some. What is found is a failure.
vulnerabilities() {
	local wanted go
	wanted=$(sed -n 's/^toolchain //p' go.mod) go=$(go env GOVERSION)
	if [ "$(printf '%s\n' "$wanted" "$go" | sort -V | head -1)" != "$wanted" ]; then
		CI="" leave_out "$1" "$go is older than $wanted of go.mod, and has some"
		return
	fi
	vulncheck() { scripts/vulncheck.sh; found=$?; [ $found -eq 0 ] || [ $found -eq 75 ]; }
	part "$1" vulncheck || return
	[ $found -eq 75 ] || return 0
	unset 'rows[-1]'
	CI="" leave_out "$1" "no database is reachable"
}

finish() {
	printf '\n%s\n' "== what ran"
	printf '  %s\n' "${rows[@]}"
	printf 'parts: %d passed, %d failed, %d skipped\n' $((${#rows[@]} - failed - skipped)) "$failed" "$skipped"
	[ "$failed" -eq 0 ]
	exit
}

compiler() { # an empty machine has none; like Docker it is installed where that is possible
	command -v gcc >/dev/null && return
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return
	printf '\n== no gcc: installing it\n'
	apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev >/dev/null
}

# The packages where goroutines meet. The detector needs a C compiler, and has each process wait a second at its end for
# what may still race; that is most of the time of tests that start processes, and a twentieth of it will do.
race() {
	GORACE=atexit_sleep_ms=50 CGO_ENABLED=1 go test -race -p 4 -timeout 15m -skip "$faults" $(scripts/racy.sh)
}

# The simulator takes both cores for minutes. Faults of processes wait most of their time, for one another and for leases:
# they come beside it, and first where both want a core.
faults='^TestChaos$'
schedules() {
	local failed=0 said
	said=$(mktemp)
	go test -count=1 -timeout 15m ./survive -run "$faults" -v >"$said" 2>&1 &
	# A schedule lives in a few MB: the collector has little to do where it comes every 256.
	GOGC=off GOMEMLIMIT=256MiB nice go test -count=1 -timeout 30m ./engine/schedtest -run '^TestSimulation$' -schedules 100000 -v || failed=1
	wait $! || failed=1
	cat "$said"
	rm -f "$said"
	return $failed
}

# The packages that the race detector watches run their tests there; here those that are others, or none, with it.
plain() {
	local racy failed=0 said
	racy=$(go list $(scripts/racy.sh)) || return
	said=$(mktemp)
	apart >"$said" 2>&1 &
	go test -count=1 -timeout 15m $(go list ./... | grep -vxF "$racy") || failed=1
	wait $! || failed=1
	cat "$said"
	rm -f "$said"
	return $failed
}
apart() {
	local failed=0 file names
	for file in $(grep -lE --include='*_test.go' -r 'underRace|raceDetector|manySchedules' $(scripts/racy.sh) | grep -vE '/(no)?race_test.go$' | sort -u); do
		names=$(sed -n 's/^func \(Test[A-Za-z0-9_]*\)(t \*testing.*/\1/p' "$file" | paste -sd'|')
		go test -count=1 -timeout 15m "$(dirname "$file")" -run "^($names)\$" || failed=1
	done
	return $failed
}

checks() { # that they find what they are for
	go test -C lint ./... && scripts/vulncheck-test.sh
}

part "format and static checks" make --no-print-directory lint
part "build" make --no-print-directory build
# -count=1: some tests run programs that they build, of which the test cache knows nothing.
if [ "$mode" = fast ]; then # -short leaves out what takes long by its nature; the whole runs it
	part "tests that need only Go, short" go test -short -count=1 -timeout 15m ./...
	finish
fi
vulnerabilities "known vulnerabilities"
part "the checks themselves" checks
if compiler; then
	part "tests that need only Go" plain
else
	part "tests that need only Go" go test -count=1 -timeout 15m -skip "$faults" ./...
fi
own=(--net --mount)
[ "$(id -u)" -eq 0 ] || own+=(--user --map-root-user)
unshare "${own[@]}" true 2>/dev/null || leave_out "TestChaos: partitions, full disks" "needs root, or a kernel that gives users namespaces, and unshare(1)"
part "100,000 schedules; faults" schedules
part "the scheduler with small chunks" go test -tags smallchunks -count=1 -timeout 15m ./engine/sched ./engine/schedtest

if compiler; then part "race detector, with all their tests" race; else leave_out "race detector" "needs gcc, or root on Debian to install it"; fi
part "what strangers send, short" scripts/test-security.sh short
part "packages" scripts/release-test.sh
part "demo on this machine" make --no-print-directory demo

if [ "$(id -u)" -ne 0 ] && ! docker info >/dev/null 2>&1; then
	leave_out "real Hadoop" "needs root (to start a Docker engine) or a running Docker"
	finish
fi
before=$(scripts/clusters.sh)
if part "real Hadoop: bring it up" make --no-print-directory cluster-up; then
	part "real Hadoop: protocols" scripts/hadoop-protocols.sh
	if part "real Hadoop: bring up what is off by default" make --no-print-directory cluster-up CLUSTER=placing; then
		part "real Hadoop: where containers go" dockertest/gotest -c placing ./appmaster/provider/yarn -test.count=1 -test.run '^TestHadoopPlacing$'
	fi
	part "real Hadoop: end to end" scripts/hadoop-e2e.sh
fi
for c in $(scripts/clusters.sh); do
	case " $before " in *" $c "*) ;; *) part "real Hadoop: take $c down" make --no-print-directory cluster-down "CLUSTER_NAME=$c" ;; esac
done
finish

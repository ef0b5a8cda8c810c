# yarnd. The two commands that matter: make demo, make test.

GO      ?= go
# Where the Go that is installed is older than go.mod's toolchain line, that one is taken: it
# is the oldest without vulnerabilities that our code has in it. Where it cannot be had, and
# with GOTOOLCHAIN=local, it is the one that is installed.
ifndef GOTOOLCHAIN
export GOTOOLCHAIN := $(shell GOTOOLCHAIN=auto $(GO) version >/dev/null 2>&1 && echo auto || echo local)
endif
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# Static binaries: they run on any node of a cluster, whatever its libc.
BUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X github.com/yarnd/yarnd.Version=$(VERSION)"

.PHONY: help build demo demo-hadoop test test-fast sim-long mutants chaos chaos-hadoop test-security test-matrix bench-submit bench-secure bench-peers bench-adaptive release lint vulncheck generate clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

build: ## bin/yarnd and the examples
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/yarnd ./examples/...

demo: build ## the main job on an embedded YARN cluster: submit, work, leave, come back, scale, stop
	@scripts/demo.sh embedded

demo-hadoop: build cluster-up ## the same on the real Hadoop cluster in Docker
	@scripts/demo.sh hadoop

test: ## every test, those on real Hadoop included
	@scripts/test.sh

test-fast: ## the tests that need nothing but Go, in four minutes on two cores
	@scripts/test.sh fast

sim-long: ## the simulator for hours: SCHEDULES=10000000, from a FROM of its own each day; before it LIVE=500 live schedules with the race detector
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 24h ./engine/livetest -run '^TestLive$$' -schedules $(or $(LIVE),500) -seed $(or $(FROM),$(shell date +%Y%m%d)00000000)
	$(GO) test -count=1 -v -timeout 24h ./engine/schedtest -run '^TestSimulation$$' -schedules $(or $(SCHEDULES),10000000) -from $(or $(FROM),$(shell date +%Y%m%d)00000000) -progress 1m

mutants: ## put faults into the cores, one at a time, and see whether the simulator finds them
	$(GO) run ./engine/schedtest/mutate

chaos-hadoop: build ## the same on Hadoop's own daemons, and what a lost node costs (ten minutes and more); FOR=30m SEED=1 FAILOVERS=3
	$(BUILD) -o bin/chaos ./survive/chaos
	bin/chaos -hadoop ha -counts -for $(or $(FOR),30m) -seed $(or $(SEED),1)
	bin/chaos -hadoop hasty -lost-node
	bin/chaos -hadoop patient -lost-node
	$(GO) test -tags 'hadoop chaos' -count=1 -v -timeout 60m ./dockertest -run '^TestFaults'
	$(GO) test -tags 'hadoop chaos' -count=1 -v -timeout 120m ./dockertest/e2e -run '^TestChaos' -failovers $(or $(FAILOVERS),3)

test-security: ## that nobody gets in: every port with every wrong certificate, secrets, floods, downgrades, fuzzing (minutes); FUZZ=10s
	@scripts/test-security.sh

test-matrix: build ## the tests on real daemons, on Hadoop 3.3.6, 3.4.2 and 3.5.0 in turn, and Kerberos with each protection
	@scripts/test-matrix.sh

bench-peers: ## the engine beside dask.distributed, Ray, HyperQueue and Spark, on this machine; RUNS=5
	scripts/bench-peers.sh

bench-adaptive: ## how many workers there are when, beside dask's Adaptive and an oracle, in virtual time; SEEDS=5
	@scripts/bench-adaptive.sh

bench-secure: build cluster-up ## what Kerberos and privacy cost: a start beside one without, 256 MiB into HDFS and back beside Hadoop's client; RUNS=5
	$(GO) test -tags 'hadoop bench' -v -count=1 -timeout 90m ./dockertest/e2e -run '^TestBenchSecure$$' -runs $(or $(RUNS),5)

chaos: ## hurt applications on the embedded cluster, in every way and as often as demanded, and judge what that costs (ten minutes to forty); FOR=10m SEED=1 RUNS=3
	@mkdir -p bin
	$(BUILD) -o bin/chaos ./survive/chaos
	$(GO) test -tags chaos -count=1 -v -timeout 30m ./survive -run '^TestSilent'
	bin/chaos -counts -for $(or $(FOR),10m) -seed $(or $(SEED),1) -runs $(or $(RUNS),3)

bench-submit: build cluster-up ## what a start and a word count cost on real Hadoop, beside YARN's distributed shell and MapReduce; RUNS=5
	$(GO) test -tags 'hadoop bench' -v -count=1 -timeout 90m ./dockertest/e2e -run '^TestBenchSubmit$$' -runs $(or $(RUNS),5)

release: ## dist/: a deb, an rpm, a tarball and a bill of materials for amd64 and arm64, with their SHA256SUMS
	@scripts/release.sh dist

lint: ## gofmt, vet, staticcheck, and of gosec what is worth it (lint/rules.go)
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v '\.pb\.go$$'))" || { echo "not gofmt'd:"; gofmt -l $$(git ls-files '*.go' | grep -v '\.pb\.go$$'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags hadoop ./...
	$(GO) vet -tags 'hadoop bench' ./dockertest/e2e
	$(GO) vet -tags 'hadoop chaos' ./dockertest/... ./survive
	$(GO) vet -tags 'hadoop matrix' ./dockertest/...
	$(GO) tool -modfile=lint/go.mod staticcheck -tags 'hadoop bench chaos matrix' ./...
	$(GO) tool -modfile=lint/go.mod staticcheck ./appmaster/provider/yarn
	$(GO) build -C lint -o ../bin/lint .
	$(GO) vet -vettool=bin/lint ./...

vulncheck: ## known vulnerabilities in what the code calls, where a database is reachable: vuln.go.dev, or GOVULNDB
	@scripts/vulncheck.sh || [ $$? -eq 75 ]

generate: ## the code made from .proto files
	$(GO) generate ./...

clean: ## what was built; the cache and a running cluster stay
	rm -rf bin

# What is measured runs on daemons with both of the JVM's compilers.
chaos-hadoop bench-submit bench-secure: export HADOOP_JIT = full

include dockertest/cluster.mk

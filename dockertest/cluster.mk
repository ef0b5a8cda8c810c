# Targets for the test cluster: included by the Makefile, and usable alone with make -f dockertest/cluster.mk.
#
#   make cluster-up      [CLUSTER=simple] [HADOOP=3.4.2] [CLUSTER_NAME=simple]
#   make cluster-status  [CLUSTER=simple] [CLUSTER_NAME=simple]
#   make cluster-down    [CLUSTER=…] [CLUSTER_NAME=…]      without either: every cluster
#
# CLUSTER is the composition. CLUSTER_NAME lets a second cluster of the same composition live beside the first.
CLUSTER ?= simple
CLUSTER_NAME ?= $(CLUSTER)
HADOOP  ?=

cluster-command = @CGO_ENABLED=0 go run ./dockertest/cmd/cluster -c '$(CLUSTER)' -name '$(CLUSTER_NAME)' -hadoop '$(HADOOP)'

.PHONY: cluster-up cluster-status cluster-down
cluster-up: ## real Hadoop in Docker: bring it up, or repair it; CLUSTER, HADOOP choose which
	$(cluster-command) up
cluster-status: ## what of it runs, and what is amiss
	$(cluster-command) status
cluster-down: ## remove every cluster, or with CLUSTER that one, without a trace
	$(cluster-command) $(if $(filter-out file,$(origin CLUSTER) $(origin CLUSTER_NAME)),down,down-all)

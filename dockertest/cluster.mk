# Targets for the test cluster: included by the Makefile, and usable alone with make -f dockertest/cluster.mk.
#
#   make cluster-up [CLUSTER=simple] [HADOOP=3.4.2] [NAME=simple]
#
# CLUSTER is the composition. NAME lets a second cluster of the same composition live beside the first.
CLUSTER ?= simple
NAME    ?= $(CLUSTER)
HADOOP  ?=

.PHONY: cluster-up cluster-down cluster-status
cluster-up cluster-down cluster-status: cluster-%:
	@CGO_ENABLED=0 go run ./dockertest/cmd/cluster -c '$(CLUSTER)' -name '$(NAME)' -hadoop '$(HADOOP)' $*

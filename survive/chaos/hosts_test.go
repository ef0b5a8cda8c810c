package main

import (
	"context"
	"net"
	"testing"
)

// Names of the cluster's hosts are found, also with a domain that is searched; others are not.
func TestHosts(t *testing.T) {
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	useHosts("nm1=172.29.3.14,rm=172.29.3.11")
	for name, want := range map[string]string{"nm1": "172.29.3.14", "rm.example.test": "172.29.3.11"} {
		if got, err := net.DefaultResolver.LookupHost(context.Background(), name); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s is at %v, %v; want %s", name, got, err, want)
		}
	}
	if got, err := net.DefaultResolver.LookupHost(context.Background(), "nm2.invalid"); err == nil {
		t.Errorf("a host that is none of ours is at %v", got)
	}
}

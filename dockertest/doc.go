// Package dockertest gives tests a real Hadoop cluster: real daemons, each a process of its own, in containers.
//
// Tests that need it carry the build tag hadoop and run on this machine; they drive the cluster from outside:
//
//	//go:build hadoop
//
//	func TestSubmit(t *testing.T) {
//		c := dockertest.Running(t, "simple")          // up and healthy, started if need be
//		alice := c.Edge("alice")
//		r := alice.Run(t, "yarnd", "submit", "--workers", "2")
//		if r.Code != 0 {
//			t.Fatal(r)
//		}
//	}
//
//	func TestNodeLost(t *testing.T) {
//		c := dockertest.Exclusive(t, "simple")        // nobody else meanwhile; healed at the end
//		c.StopHost(t.Context(), "nm2")
//		…
//	}
//
// Tests that must run inside the cluster (an RPC client beside a daemon) carry the same tag and are started by
// dockertest/gotest, which copies nothing and needs nothing of this package.
//
//	layout   what a cluster consists of, as values
//	cluster  makes it true and breaks it on purpose: up, down, health, daemons, hosts
//	image    the base image; jars: Hadoop from Maven Central; dockerd: the engine; cache: where all that is kept
//	edge     a script: run a command on an edge node; gotest: run a package's tests there
package dockertest

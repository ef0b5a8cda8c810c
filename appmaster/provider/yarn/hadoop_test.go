//go:build hadoop

package yarn

import "testing"

// hadoopTag tells whether the tests against real daemons are in this binary.
const hadoopTag = true

// On an edge node of a real cluster.
func TestHadoop(t *testing.T) { onCluster(t) }

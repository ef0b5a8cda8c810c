//go:build hadoop

package yarn

import "testing"

// hadoopTag tells whether the tests against real daemons are in this binary.
const hadoopTag = true

// On an edge node of a real cluster.
func TestHadoop(t *testing.T) { onCluster(t) }

// The same, of where containers go; the composition placing offers what the others do not.
func TestHadoopPlacing(t *testing.T) { onPlacing(t) }

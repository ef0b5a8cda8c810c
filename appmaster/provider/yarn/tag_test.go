//go:build !hadoop

package yarn

// hadoopTag tells whether the tests against real daemons are in this binary.
const hadoopTag = false

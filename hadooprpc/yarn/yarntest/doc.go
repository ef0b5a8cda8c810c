// Package yarntest is the contract of a YARN cluster as this library understands it: one suite that runs unchanged
// against real daemons (hadooprpc/yarn, tag hadoop) and against the embedded cluster of hadooptest/minicluster. Every
// call of package yarn is made at least once, and what our heartbeat and launches rely on is checked: the rules of
// response ids, of asks, releases and exit statuses, of tokens, of errors and their classes.
//
// An unmanaged application master, which is this process registering itself, costs no container to start; most tests
// use one.
package yarntest

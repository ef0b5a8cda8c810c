// Package amclient is how processes talk to the application master: those in
// containers, and people's programs.
//
// A container's process begins with [ReadLaunch], which tells it who it is, and
// [Join], which gets it the certificate that proves it. From then on, like a
// client that has read its credential from the staging directory, it holds an
// identity and calls [Dial].
//
// # Finding the application master
//
// A [Client] keeps one connection and makes a new one when that breaks. It tries
// the addresses that it knows; when none of them is the application master any
// more (the cluster has started its next attempt on another node), it asks
// Options.Locate. Whoever answers must prove to be this application's master, so
// an address may safely be wrong.
//
// Calls that can be repeated are, until they are answered or their context ends.
// Errors are [*Error], which answers the questions that matter.
package amclient

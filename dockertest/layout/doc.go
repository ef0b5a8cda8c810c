// Package layout says what a test cluster consists of, as plain values: hosts, the daemons on each, and the XML
// that they read. Nothing here talks to Docker, so every composition is tested without it; package cluster makes
// the values true.
//
//	Composition ── Hosts ──┬─ Daemons   what runs there, in starting order
//	     │                 └─ Conf      what this host's XML says differently
//	     └─ Conf                        what all hosts' XML says differently from Base
//
// The files of one host are Base, overlaid by what Kerberos adds, by the composition's Conf, and by the host's Conf.
//
// A new composition is one more value in All. Secured makes one with Kerberos out of any: it adds a host with a KDC, a
// Domain, and security properties; one with a second ResourceManager adds a host and the ha properties.
package layout

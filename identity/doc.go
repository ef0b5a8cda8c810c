// Package identity says who a process is and how two processes of one
// application prove it to each other.
//
// # The idea
//
// Each application has a certificate authority of its own. Its key is derived
// from a 32-byte [Seed] and the application id, so whoever holds the seed (the
// client that submitted, every attempt of the application master) arrives at
// the same authority without any state being kept or sent:
//
//	seed ──HKDF(application id)──► CA key (P-256) ──signs──► certificates
//	                                                         am/<container>
//	                                                         scheduler/<container>
//	                                                         worker/<container>
//	                                                         client/<user>
//	                                                         operator/<user>
//	                                                         viewer/<user>
//
// A certificate names its [Subject] in one URI, yarnd://<app>/<role>/<name>,
// and nothing else in it is believed. Host names are not checked: containers
// move, their addresses are found through the application master, and what a
// peer must prove is that it belongs to this application and in which role.
//
// # How it is used
//
//   - A server asks [Identity.Server] for a TLS configuration that lets only the
//     given roles in; a client asks [Identity.Client] for one that talks only to
//     the wanted role, and if it likes to one wanted name.
//   - A process that has no certificate yet makes a [Request] (its private key
//     never leaves it) and sends the signing request to the application master
//     over a connection configured by [JoinClient], which authenticates the
//     master alone. The master signs with [CA.Sign].
//   - A person's program that neither has a certificate nor knows the authority
//     uses [StrangerClient]: neither side is verified by TLS, and what both say must
//     prove it (package appmaster/claim).
//   - [Peer] tells a server whom it is talking to.
//
// Everything is TLS 1.3 with certificates on both sides. There is no switch that
// turns this off.
//
// # Time
//
// Certificates are back-dated by [Backdate], so that a node whose clock is off by
// hours can still take part. A process that outlives [Identity.RenewAt] sends
// [Identity.CSR] to the application master again and installs the answer with
// [Identity.Renew]; configurations handed out before then use the new certificate
// for new connections.
package identity

// Package gssapi is the Kerberos 5 mechanism of GSS-API (RFC 4121) as a pure core: contexts between an initiator that
// holds a service ticket and an acceptor that holds the service's key, and the protected messages that follow.
//
//	initiator                                acceptor
//	  AP-REQ  ticket, authenticator     →
//	                                    ←   AP-REP   proof, sequence number, often a key of its own
//	  wrap tokens                       ↔   wrap tokens, numbered, each direction by itself
//
// It does no I/O and knows no KDC: tickets and keys are given to it, tokens go in and come out. The initiator always
// asks for mutual authentication and is not established before the acceptor has proven that it could read the
// authenticator. Keys are those of AES alone (RFC 3962 and RFC 8009); the older ones, and the older form of wrap
// tokens that goes with them, are refused.
//
// Messages and ASN.1, ciphers and key derivation are those of jcmturner/gokrb5. What that library does not have is
// here: sealed wrap tokens, the check of AP-REP, acceptors' subkeys.
//
// Sources: RFC 4120 (Kerberos), RFC 4121 (its GSS-API mechanism), RFC 3961, 3962 and 8009 (ciphers).
package gssapi

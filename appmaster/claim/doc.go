// Package claim is the small protocol by which a person's program gets a certificate from
// the application master without a file of the owner's: for a ClientToAM token, with which
// the ResourceManager of a cluster with Kerberos vouches for who asks it about an
// application.
//
// The ResourceManager and the application master share a master key, new with each attempt.
// A token has an identifier, which says for which attempt and whom it is, and a password,
// which is the identifier's HMAC under that key. So the master can tell the password of a
// token that it has never seen, and password and connection together prove each side to the
// other:
//
//	client                                            application master
//	  │ ── TLS 1.3, ALPN identity.ClaimProtocol; nobody is verified ──► │
//	  │ ── identifier, proof, signing request ─────────────────────────► │ is the proof right?
//	  │                                                                 │ who is it, and what may he?
//	  │ ◄──────────── verdict, proof, certificate, authority ─────────── │
//	is the proof right?
//
// A proof is HMAC-SHA256 under the password over a label of that side, 32 bytes that TLS
// exports for this connection alone (RFC 8446 section 7.5), and all that the frame says. Who
// stands in between has two connections with two exports, so neither a proof that he passes
// on nor one that he has seen is worth anything to him, and what he changes is noticed.
//
// The client sends one frame:
//
//	┌────┬───┬──────────┬──────────────┬──────────┬──────────┬───────┐
//	│ YC │ 1 │ u16 BE n │ n identifier │ 32 proof │ u16 BE m │ m CSR │
//	└────┴───┴──────────┴──────────────┴──────────┴──────────┴───────┘
//
// The master answers with one frame and closes:
//
//	┌────┬───┬────────────┬──────────┬──────────┬──────────────────────┬──────────┬─────────────┐
//	│ YC │ 1 │ u8 verdict │ 32 proof │ u16 BE n │ n certificate or why │ u16 BE m │ m authority │
//	└────┴───┴────────────┴──────────┴──────────┴──────────────────────┴──────────┴─────────────┘
//
// A frame is at most MaxFrame bytes, and its time is short. The proof is compared, in constant
// time, before identifier and signing request are decoded. A refusal of a proof that is wrong
// has 32 zeroes for a proof: there is no password in common.
//
// Whoever knows the password of a token is whom it names. The ResourceManager sends it in its
// report, so that must not travel in clear (hadoop.rpc.protection), and its strength is that of
// the ResourceManager's master keys (hadoop.security.secret-manager.key-length).
package claim

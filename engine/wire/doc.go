// Package wire is the protocol of the engine's control plane: what clients and
// workers say to the scheduler, and what it says to them. It holds the frames,
// the messages (engine.proto), their checks and conversions to the values of
// package graph, and the connection that carries them. It decides nothing.
//
// # A connection
//
// Whoever dials (TLS 1.3, both sides with certificates, ALPN Protocol) sends
// Hello and gets Welcome, or a Welcome that says why not. Dial and Accept do
// that. From then on both sides send frames as they like:
//
//	worker                      scheduler                     client
//	  | Hello ----------------------> |                          |
//	  | <-------------------- Welcome |                          |
//	  | Inventory ------------------> | settled                  |
//	  |                               | <-- Request{OpenJob} ... |
//	  |                               | Reply{JobInfo} --------> |
//	  |                               | <-- Request{Submit} ---- |
//	  | <------- Classes, Peers       |                          |
//	  | <-------------- Assign        |                          |
//	  | Started, Done, Failed ------> | Reply{Ended} of a Watch  |
//	  | Parked, Unparked -----------> |                          |
//	  | <--------- Nested ----------> | a client within a task   |
//
// A frame is a length, a kind, and one protobuf message:
//
//	 0        4      5
//	+--------+------+----------------------+
//	| length | kind | message              |
//	+--------+------+----------------------+
//	  u32 BE   u8     length-1 bytes
//
// The length is judged before memory is taken, and memory grows with what
// arrives, not with what was announced. TLS guards against changed and cut bytes,
// so there is no checksum.
//
// # Columns
//
// Messages that speak of many tasks hold one packed column a property, so a task
// costs a few bytes and a few nanoseconds. Such messages have three methods
// beside what protobuf generates: Add appends a row, Len counts rows, At reads one.
// Unmarshal checks each message once, whole; after that At cannot fail.
//
// The four that every task passes through, Submit, Assign, Done and Ended, are encoded
// and decoded by hand, a column at a time (hot.go). The bytes are the same, and the
// library does it when there is more in them than columns.
//
// # Natural batching
//
// Conn gathers what is sent while an earlier write is under way and writes it at
// once: no timer, so a lone message leaves immediately, and a busy connection
// sends large writes.
package wire

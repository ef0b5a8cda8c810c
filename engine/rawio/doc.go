// Package rawio reads and writes descriptors that do not block, by system calls that Go's
// runtime is not told of.
//
// The runtime counts each system call as one that may take long: while a process is idle
// now and then, the first one after a pause wakes a thread that watches over it, which then
// wakes twice more until it sees that nothing is the matter. Where a message of a few bytes
// goes through five processes, that is a quarter of all the time that they take. A
// descriptor that does not block has no call that takes long, so nothing needs watching;
// waiting for it to become ready is the runtime's poller's as ever.
//
//	            Read, Write          Offer, Spool
//	no room     wait                 keep the rest, which Settle writes
//
// With Offer, a loop can write by itself what it has to say, and no peer that does not read
// holds it up.
package rawio

// Package store keeps the results that a worker holds: those of its own tasks that are
// too large to travel with the report, and copies of other workers' results that it
// fetched as inputs.
//
// A result is named by task and attempt and never changes. It lies in memory, in a file,
// or in both; only the store knows which. Readers see a Blob: a size, bytes at offsets,
// and a checksum for each block (package checksum). Results come by a Writer, whole by
// Put, piece by piece when their size is not known yet, or in blocks in any order.
//
// # Where a result lies
//
//	        room in memory                  cold, and memory above the high mark
//	Create ───────────────► memory ───────────────────────────► disk
//	   │                       ▲                                 ▲ │
//	   │                       └──── opened twice, and room ─────│─┘ (the file stays,
//	   └─────────────────────────────────────────────────────────┘  leaving again is free)
//	        no room, or larger than memory: while it arrives
//
// Results leave memory in the order of their last use, in the background, until memory is
// below the low mark (see plan). Nobody waits for that: who stores meanwhile takes what
// room there is, or writes to disk at the disk's pace, and readers of a result that
// leaves read on. Results that are open stay. A file is read with read, not mapped:
// mapped pages count as the process's memory.
//
// # Memory
//
// Options.Memory is kept by the page, with memory of the store's own outside Go's heap
// (see memory). The process takes that, what was freed and may be needed again
// included, and some buffers of checksum.Block bytes. A worker is thus never killed by
// YARN for results it holds.
//
// # Accounting
//
// Bytes count from Create until the result is deleted and its last Blob is closed:
//
//	Create ──► held ──Delete──► dying (still open somewhere) ──last Close──► gone
//	             └────────────────Delete, not open──────────────────────────►
//
// A dying result cannot be opened again, and its key may be put anew.
//
// # What goes wrong
//
// A *FullError says that neither memory nor disk has room, a *DiskError that the disk is
// full or fails, a *CorruptError that what comes from disk is not what was stored. None
// of them harms other results. A cold result that cannot be written stays in memory.
package store

// Package store keeps the results that a worker holds: those of its own tasks
// that are too large to travel with the report, and copies of other workers'
// results that it fetched as inputs.
//
// A result is named by task and attempt and never changes. It lies in memory as
// long as the budget allows and in a file otherwise; only the store knows which.
// Readers see a Blob: a size and bytes at offsets.
//
// # Accounting
//
// Bytes count from Put until the result is deleted and its last Blob is closed:
//
//	Put ──► held ──Delete──► dying (still open somewhere) ──last Close──► gone
//	          └────────────────Delete, not open──────────────────────────►
//
// A dying result cannot be opened again, and its key may be put anew.
package store

// Package shuffle brings records with equal keys together: M map tasks give records, R
// reduce tasks get them, each the keys of its partition, sorted. There are M+R tasks and
// not M×R: a map task has one result, from which every reduce task reads its part alone.
//
//	input 0 ─► map 0 ─┐  one result: partition 0 │ 1 │ … │ R-1 │ index
//	input 1 ─► map 1 ─┼──────────┐
//	   …          …   │          │ each reads its part of every result, straight from
//	input M ─► map M ─┘          ▼ the worker that holds it, when it needs it
//	                   reduce 0 … reduce R-1 ─► results, one for each partition
//
//	var words = shuffle.Define("words", shuffle.Spec[string, int64]{
//		Key: shuffle.String, Value: shuffle.Int64, Combine: func(a, b int64) int64 { return a + b },
//	}, countLines, writePart)
//
//	run := words.Run(ctx, client, files, out, shuffle.Hash(8))
//	defer run.Release()
//	results, err := run.Results(ctx)
//
// # Order
//
// Keys are compared by their encoded bytes; coders for text, bytes and numbers keep the
// order of their values. Within a partition keys come sorted, and the values of a key in
// the order of the inputs, then in that in which the map task emitted them. So a run gives
// the same results whatever happens on its way. With Range, partitions are sorted as well:
// all keys of one are smaller than those of the next. Split points come from a sample of
// the keys, as in TeraSort: a sample task for each of some inputs, and one that cuts. One
// key is never split between partitions, so a key that is very frequent makes a large one.
//
// # Memory
//
// A task keeps Spec.Memory bytes of records, no matter how many there are and how they
// are spread. What is more goes sorted into a file without a name in the working
// directory (in a container: on its local disk), which is gone with the task in whatever
// way it ends. A map task then merges its runs; a reduce task fetches what fits, merges
// it into a run, fetches on, and merges the runs while its function goes through them.
// One record must fit into memory; the values of one key need not. The results of map
// tasks lie in the stores of their workers, which have their own budget and disk.
//
// # What can go wrong
//
// A worker that is lost takes map results with it: they are computed again, and reduce
// tasks that were reading them run anew. Each result carries the run's random id, its
// number and its attempt, and each part a checksum: results of two runs, or of two
// attempts, never mix. An error of a map or reduce function fails its task, and what
// depends on it, as with any task.
//
// # Concurrency
//
// A Shuffle may be used by many goroutines; runs have nothing in common. An Emitter, and
// Groups, belong to the goroutine of their function.
package shuffle

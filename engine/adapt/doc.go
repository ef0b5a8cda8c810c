// Package adapt decides how many workers a cluster shall have. It is a value: a [View]
// of what remains to be done and of the workers goes in, a [Decision] for each pool comes
// out, with its reason in words and the numbers that led to it. It has no clock, no I/O
// and no goroutine; what it remembers from one View to the next is in [Core].
//
// # How many are enough
//
// For each pool: the work that its tasks are, in seconds of one worker; the width, how
// many workers could have something to do now or before a worker that is asked for now
// would be there; and the longest chain of tasks, below which no number of workers gets.
// Enough is the smallest number with which the work is done within the goal:
//
//	goal = the longest chain, or the horizon if that is longer
//	horizon = 5 s, or three times what nine of ten workers took from request to ready
//
// and never more than the width. Where work comes all the time it is also as many as that
// keeps busy: a goal that is far away would let it pile up first. Tasks are as long as
// those of their class that have ended; or, if some run and none has ended for longer than
// that, as long as they have run by now. While nothing is known 1, 2, 4, 8 … workers try,
// one step a second. What is known is asked for at once.
//
// A task counts in the pool that it names, or in the plainest that can run it.
//
// # Up
//
// Asked for and not there yet counts as there. More are asked for when those would miss
// the goal by more than the band. Asks that nobody needs any more are taken back, as long
// as the cluster has not answered them. Where asks stay without an answer the pool asks
// for one, and for four times as many with each answer. Where the cluster says how many
// more it has room for no more than that are asked for, but one.
//
// # Down
//
// Fewer when fewer would have been enough at every moment of the last minute
// ([Config.Idle]), were enough for what was really busy, hold the results in 60 % of
// their memory, and no worker came for as long. So nothing goes within a minute after it
// came, and nothing that comes and goes in less than a minute moves anything.
//
// Limits hold always: never less than Min, never more than Max.
//
// # Map
//
//	view.go      what goes in and comes out
//	core.go      Decide: each pool in turn
//	demand.go    work, width, chain, enough
//	pool.go      what is remembered of a pool
//	words.go     reasons
package adapt

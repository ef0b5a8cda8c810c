// Package engine runs functions and commands on the workers of a cluster.
//
// # Tasks
//
// A task is a Go function with a name, a command line, or a Python function:
//
//	var square = engine.Define("square", func(ctx context.Context, n int) (int, error) { return n * n, nil })
//	var gzip   = engine.Command([]string{"gzip", "-k", "{}"})
//	var root   = engine.Python[float64, float64]("math:sqrt")
//
// The name is what travels: the function itself is found on the worker under it, as
// the same program runs there (see "Programs"). Define belongs into package
// variables, so that every process of the program knows all tasks.
//
//	f := square.Submit(ctx, client, 7)          // one, a *Future[int]
//	n, err := f.Result(ctx)
//
//	b := square.Map(ctx, client, slices.Values(numbers))   // many, a *Batch[int]
//	squares, err := b.Gather(ctx)
//
//	b = engine.MapRange(ctx, client, square, 0, 10_000_000) // a range, of which tasks are made as they run
//
// # Graphs
//
// A [Ref] is a value or the promise of one. A task whose input holds Refs of futures
// runs when these are done, and finds their values; the data goes from worker to
// worker and never through the client:
//
//	type pair struct{ A, B engine.Ref[int] }
//	var add = engine.Define("add", func(ctx context.Context, p pair) (int, error) {
//		return p.A.Value() + p.B.Value(), nil
//	})
//	sum := add.Submit(ctx, client, pair{f.Ref(), engine.Value(5)})
//
// A function of [DefineLazy] reads parts of large results ([Open]) instead of finding them
// whole; one of [DefineStream] gives a result that is not in memory. Package shuffle, which
// groups records by their keys, is made of both.
//
// # Tasks that submit tasks
//
// A function finds a client of its cluster by [Inside]. While it waits for tasks that it
// has submitted it takes no slot, and they end with it.
//
// # Actors
//
// [DefineActor] makes values that live on a worker, and [DefineMethod] what they can be
// asked for, one call at a time, by any client and task that has the handle. They are
// restarted when they die, and may leave a [Checkpoint] for that.
//
// # Jobs, and coming back
//
// Tasks belong to jobs. Those submitted without [InJob] belong to a job without a
// name, which ends with the client. A named job ([Client.Job]) goes on when the
// client leaves, and is found again by its name, from any host: [JobFuture] is the
// future of its n-th task, and [Lookup] finds what [Publish] gave a name.
//
// A result is kept until it is released: [Future.Release], [Batch.Release],
// [Job.Close]. Going through a [Batch] of the unnamed job releases what was read, so
// that a Map over millions of inputs stays small; [Loose] results go when the program
// cannot use them any more. Cancelling a context ends a wait, never a task; [Future.Cancel] ends a
// task.
//
// # Errors
//
// A task that fails gives a [*TaskError]: what the function returned, a panic with
// its stack, a command's exit code and the end of its standard error, or what
// happened to the process. errors.Is tells [ErrCancelled], [ErrWorkerLost] and the
// others apart. An error that a function returns arrives as text: its Go type stays
// behind.
//
// # Programs
//
// Workers run the functions of their own program. A client that is another program
// brings its own (Options.OwnBundle): it is uploaded once, and its functions run in
// a process of their own beside the worker, so that a crash costs no worker.
package engine

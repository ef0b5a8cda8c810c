// Package executor runs user code apart from the worker: whatever it does, crash,
// leak or exit, the worker and the results that it holds live on.
//
// # The processes
//
//	worker ──pipes──► <own binary> executor go        functions of the own binary
//	       ──pipes──► <bundle>     executor go        functions of a client's program
//	       ──pipes──► <own binary> executor command ──► sh, grep, …
//	       ──pipes──► python, several                   see "Python"
//
// There is at most one process of each sort, but of interpreters; it runs many calls at once and lives
// on between them, so a call costs microseconds and no process start. (A command is
// a process, naturally.) It is started when first needed, again with growing
// pauses when it died, and ended when nothing used it for a while. Functions that
// Options.Funcs holds run inside the worker's process through the same code, over
// pipes in memory.
//
// # Who dies with whom
//
// No executor and no command outlives its worker, even when the worker, or all of
// its process group, is killed with SIGKILL:
//
//   - An executor is the leader of a process group of its own, so a signal to the
//     worker's group does not reach it.
//   - It learns of the worker's death twice: the lifeline (a pipe whose other end
//     only the worker has) ends, and the kernel sends the parent-death signal, here
//     SIGTERM. That signal is bound to the thread that forked; the family (family.go)
//     keeps one for the purpose.
//   - It is a subreaper: its descendants fall to it when their parents die, even if
//     they made sessions of their own. It kills every one of them, and exits.
//   - A command has SIGKILL as its parent-death signal, so it dies with an executor
//     that is killed. What the command had started falls to the worker, which is a
//     subreaper too (Options.Adopt) and kills it.
//
// A command's end is its process group's end: what it left running there is killed
// at once, and what left the group within a second or two.
//
// # A command's life
//
//	plan.go    what commands of a class have in common, made once: options, environment
//	spawn.go   pipes, the program's path, vfork and exec
//	await.go   one poll for all that can happen, until the process has ended
//	           its group is killed, its status taken, the rest of its output read
//	command.go the result, or failure
//
// One goroutine does all that on one thread, whose death would be the command's. The end
// of a process sends no signal here, and no other thread waits for it: each thread that
// wakes costs as much as a tenth of a small command. For the same reason Go's runtime is
// not told of short waits (keepTime). Orphans are reaped once a second.
// A command of less than holdTime is not even told of before its end.
//
// # A stream of small tasks
//
// What a task costs beside its own work decides how small tasks may be, so nothing
// between worker and executor is done once per task that can be done once per many:
//
//   - Tasks are handed over ahead of time: the executor has what it is to run next
//     when it ends a call, and begins that in the same goroutine (pool.go). A Runs
//     frame says how many slots may be taken at once.
//   - Frames hold many rows. A writer takes all that is there and writes once; what
//     comes meanwhile goes with the next write. Ends of functions wait for no time,
//     ends of commands for some milliseconds as long as enough commands follow
//     (reporter.go has the rules).
//   - A call's context is made when its function first looks at it (context.go).
//   - A little is written by who has it to say, without a writer to wake (write.go). Where
//     there is one slot, the executor's reader runs a call itself (relief.go).
//
// A task that was handed over and has not begun can be had back: Recall is answered for
// each call. It is then as if it had never been there.
//
// # Who is to blame
//
// When an executor dies, those calls failed that ran; a message before each would cost
// more than most calls do. Instead the executor notes in a page of memory that the
// worker reads (page.go, descriptor 6) which calls run: their ids, one number for each
// slot. After the death the worker reads the page. Calls that are noted died, together.
// The others are handed to the next executor, as if nothing had been; they count no
// failure. A call may have ended without the news of it having got out: it runs again.
//
// User code can write into the page. The worker believes only ids that it has handed
// out; if none of those is noted, the tasks are tried again, but after some deaths of
// that kind all are taken for dead together.
//
// # The protocol
//
// The executor finds frames from the worker on descriptor 3, writes frames on 4,
// holds the lifeline on 5 and the page of calls on 6. Numbers are little endian.
//
//	 0        4      5
//	+--------+------+----------------+
//	| length | kind | body           |
//	+--------+------+----------------+
//	  u32      u8     length-1 bytes
//
//	worker                                    executor
//	  | Setup {version, host, worker, grace_ms, |
//	  |        slots, parked} ----------------------->  |
//	  | <------------------ Ready {version, pid}|
//	  | Inputs ------------------------------>  | of a call that follows
//	  | Runs -------------------------------->  | calls, to begin in this order
//	  | <-------------------------------- Began | a command has a process, and takes long
//	  | <-------------------------------- Read  | wants a piece of an input
//	  | Data -------------------------------->  |
//	  | <------------------------------- Chunk  | a piece of a result
//	  | <------------------------- Done, Failed |
//	  | Recall ------------------------------>  |
//	  | <----------------------------- Recalled |
//	  | Signal ----------------------------->   | for a call's command
//	  | <--------------------------------- Park | a call waits, or wants to go on
//	  | Resume ----------------------------->   | it has its slots again
//	  | <--------- Nested, Nest ------------>   | of a client within a call
//	  | <------------------------------- Result | wants a piece of a result
//	  | Stop -------------------------------->  | runs or not: it ends
//	  | (closes 3)                              | ends its calls and itself
//
// [n]T is a column: n numbers of that type, one after the other. bytes32 is a u32
// length and so many bytes.
//
//	Setup     1  JSON
//	Stop      3  call u64, reason u8 (0 no longer wanted, 1 memory)
//	Data      4  read u64, ok u8, bytes (or why not, as text)
//	Signal    5  call u64, signal u8
//	Runs      6  limit u32 (slots that may be taken at once, from now on),
//	             classes u32 = k, calls u32 = n,
//	             k times: kind u8, slots u16, time limit in µs u64 (0: none),
//	                      name bytes32, spec bytes32,
//	             call [n]u64, job [n]u32, index [n]u32, attempt [n]u32,
//	             class [n]u32 (which of the k), inputs [n]u32, payload length [n]u32,
//	             the payloads, inputs of all calls as below
//	Inputs    7  call u64, inputs as below
//	Recall    8  n u32, call [n]u64
//	Resume    9  call u64
//	Nested   10  call u64, stream u32, ack u32, code u32, end bytes32, bytes
//	Ready    20  JSON
//	Began    21  call u64, pid u32
//	Read     22  read u64, call u64, input u32, offset u64, length u32 (at most 256 KiB)
//	Chunk    23  call u64, size of the whole result u64, bytes
//	Failed   25  JSON {call, kind, message, stack, exit_code, output, took_us}
//	Done     26  n u32, call [n]u64, took in µs [n]u32, size of the whole result [n]u64,
//	             bytes of it that are here [n]u32, those bytes
//	Recalled 27  n u32, call [n]u64, given back [n]u8
//	Park     28  call u64, waits u8 (0 wants to go on)
//	Nest     29  like Nested
//	Result   30  read u64, call u64, offset u64, length u32 (at most 256 KiB), job u32,
//	             index u32, attempt u32, size u64, holder's name bytes32, address bytes32
//
//	inputs       m u32, job [m]u32, index [m]u32, size [m]u64, sent [m]u8,
//	             the bytes of those sent
//
// The column inputs of Runs says how many of the frame's inputs are each call's, in
// order. A call with more than fit into a frame has the first ones in Inputs frames
// before, which that column does not count. Small inputs are sent, others read when
// user code asks for them.
//
// A result of at most 4 KiB comes whole in Done; a larger one in Chunks, in order, and
// then a row of Done with no bytes. The worker puts each Chunk where the result is kept
// (Options.Sink, pour.go), so that a large one is never whole in its heap.
//
// A Read of input 2³²-1 is of a command's standard input that comes while it runs: it
// is answered when something has come, by Data without bytes at the end. With length 0
// it is not answered and says that no more is wanted.
//
// An executor begins calls in the order in which they came, the next one as soon as its
// slots fit below the limit. It must note a call in the page before user code begins:
// u64 numbers, as many as Setup's slots and parked together; the call's id in a free one, 0
// after its end. Ids of commands that have ended stand behind those until the worker is
// told, so that it does not take them for never begun.
// A time limit counts from there. A Stop of a call that has not begun is answered by
// Failed at once.
//
// Both sides always read, so writing never waits for ever. What an executor writes is
// not trusted: user code shares its process.
//
// # Waiting
//
// A function that has submitted tasks and waits for them is parked (inside.go): the
// executor no longer counts its slots and begins the next call. It stays noted in the
// page, which therefore has more numbers than there are slots. It goes on when the
// worker says Resume, which is when the worker's core has slots for it.
//
// # Python
//
// An interpreter runs one call at a time, so a place of Python has as many as it may take
// slots (interpreters.go): started as calls wait, warm between them, ended when idle. Each
// is handed calls ahead, and gives up half of them for one that has none. What dies with an
// interpreter is the one call that it ran.
//
// The modules in pyexec, which come on descriptor 7, speak the protocol. They are two processes:
//
//	worker ──► guard ──fork──► interpreter ──► what user code starts
//
// The guard never runs user code. It holds the lifeline, is the subreaper, and kills what is
// below it when the worker dies, on SIGTERM, or when the interpreter has ended, whose exit it
// repeats. The interpreter has SIGKILL as its parent-death signal. In it, a thread reads
// frames beside the main thread, which runs calls: a call is stopped by SIGINT, which raises
// KeyboardInterrupt in it alone.
//
// A class's Spec is a PythonSpec. A payload is one value, an item as package codec has it, in
// which Refs (tag 31076) are replaced by the results that they name. So is a result. Python
// objects that have no other form are tag 31077 over a byte string with a u64 length, of
//
//	version u32 (1), buffers u32 = n, length of the pickle u64, length [n]u64,
//	the pickle (protocol 5), the n buffers, each at a multiple of 16 bytes from the item's start
//
// Buffers of 4 KiB and more are such; they are written from where they lie and loaded as views
// of what was read. In a payload, a persistent id (job, index) of the pickle is a Ref.
//
// # Memory
//
// The manager watches what the worker's whole tree takes, and kills the largest
// executor or command just before the container's limit, because a node manager
// would kill everything. The tasks in it fail with graph.FailMemory.
package executor

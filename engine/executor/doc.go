// Package executor runs user code apart from the worker: whatever it does, crash,
// leak or exit, the worker and the results that it holds live on.
//
// # The processes
//
//	worker ──pipes──► <own binary> executor go        functions of the own binary
//	       ──pipes──► <bundle>     executor go        functions of a client's program
//	       ──pipes──► <own binary> executor command ──► sh, grep, …
//
// There is at most one process of each sort; it runs many calls at once and lives
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
// # The protocol
//
// The executor finds frames from the worker on descriptor 3, writes frames on 4,
// and holds the lifeline on 5. Numbers are big endian.
//
//	 0        4      5
//	+--------+------+----------------+
//	| length | kind | body           |
//	+--------+------+----------------+
//	  u32      u8     length-1 bytes
//
//	worker                                    executor
//	  | Setup {version, host, worker, grace} -> |
//	  | <------------------ Ready {version, pid}|
//	  | Run --------------------------------->  |
//	  | <-------------------------------- Began | a command has a process
//	  | <-------------------------------- Read  | wants a piece of an input
//	  | Data -------------------------------->  |
//	  | <------------------------------- Chunk  | of a result, all but the last
//	  | <------------------------- Done, Failed |
//	  | Signal ----------------------------->   | for a call's command
//	  | Stop -------------------------------->  |
//	  | (closes 3)                              | ends its calls and itself
//
//	Setup   JSON                      Ready   JSON
//	Run     call u64, kind u8, task (job u32, index u32), attempt u32,
//	        time limit µs u64, name, spec, payload (each u32 length, bytes),
//	        inputs u32, for each: task, size u64, sent u8; then the bytes of those sent
//	Stop    call u64, reason u8 (0 no longer wanted, 1 memory)
//	Signal  call u64, signal u8
//	Read    read u64, call u64, input u32, offset u64, length u32 (at most 256 KiB)
//	Data    read u64, ok u8, bytes (or why not, as text)
//	Began   call u64, pid u32
//	Chunk   call u64, size of the whole result u64, bytes
//	Done    call u64, took µs u64, size of the whole result u64, bytes
//	Failed  JSON {call, kind, message, stack, exit_code, output, took_us}
//
// A Read of input 2³²-1 is of a command's standard input that comes while it runs: it
// is answered when something has come, by Data without bytes at the end. With length 0
// it is not answered and says that no more is wanted.
//
// Small inputs are sent along with Run, others are read when user code asks for
// them. Both sides always read, so writing never waits for ever. What an executor
// writes is not trusted: user code shares its process.
//
// # Memory
//
// The manager watches what the worker's whole tree takes, and kills the largest
// executor or command just before the container's limit, because a node manager
// would kill everything. The tasks in it fail with graph.FailMemory.
package executor

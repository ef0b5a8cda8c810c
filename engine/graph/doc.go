// Package graph holds the values that every part of the engine speaks about:
// ids, task classes, batches of tasks, outcomes. It does no I/O, starts
// nothing and imports nothing of ours, so that the pure cores may use it.
//
// # Vocabulary
//
//   - A job is a growing list of tasks. Tasks are numbered densely from 0 in
//     the order in which they were submitted; (job, index) is a task's id for
//     ever. A job may have a name, under which it is found again.
//   - A class is what many tasks have in common: the function or command, the
//     bundle that holds it, resources, priority, retry policy. It is interned
//     once per job; a task carries only the class's number.
//   - A batch is the columnar form in which tasks travel: one column a
//     property, edges as compressed rows, payloads back to back.
//   - An attempt is one assignment of a task to a worker. Attempts of a task
//     count up from 1 and are never reused; a message about another attempt
//     than the live one is dropped. This replaces every "cancelled while
//     running and then wanted again" state.
//   - A worker id is an incarnation number: it grows with each worker that
//     joins and is never reused, whatever address the worker has.
//   - An outcome is what a client sees of a finished task: a result (its size,
//     where it is, its bytes when small) or a failure. Once a client has seen
//     an outcome, no client ever sees another.
package graph

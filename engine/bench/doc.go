// Command bench measures the engine, with a scheduler, a client and workers that are
// processes of their own, over TLS, as in a real cluster:
//
//	go run ./engine/bench --shape merge --tasks 100000 --workers 2 --slots 1 --json
//	go run ./engine/bench --graph my-graph.tsv --workers 2
//
// docs/benchmarks.md says what the shapes and the fields of the JSON object are, and
// what a graph's file looks like; --help lists the flags.
//
// # Processes
//
//	bench ──starts──► scheduler ◄──TLS── worker … ──pipes──► executor …
//	  │ a launch file,      ▲
//	  │ commands on stdin,  └──TLS── client
//	  │ notes on stdout
//	  └─reads /proc of all before and after each run
//
// Each is this program, started again (role.go); its end of standard input ends it, so
// that none outlives the first. The client's clock runs from the first submission to the
// last result (client.go, typed.go). The first process computes what the results must
// come to on its own (value.go), and fails if they do not.
//
// # Tasks
//
// A task's value is made of its id and the values of its inputs, which it reads from
// the results that were sent to it; so a checksum over the values of the last tasks
// shows that each result arrived where it was needed (value.go). A graph is a source:
// shapes compute theirs from numbers (source.go, shape.go), a file is held in columns
// (graphfile.go). Shuffles (rows.go, words.go) and Python functions (python.go) go through
// the public packages, and have checksums of their own kind, which peers/ computes on
// other engines.
package main

// Package bench measures the engine's overhead on worker processes of this machine,
// over TLS, with real executors:
//
//	go test -run xxx -bench . ./engine/bench
//
// What a task itself does is nothing, so the figures are the engine's alone: tasks a
// second, microseconds a link of a chain, the time from submit to result.
package bench

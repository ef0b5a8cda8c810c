// Package spec holds the values that describe an application: what the client
// that submits writes, the application master reads, and the processes in
// containers are told.
//
// # Two documents
//
//   - [Application] is spec.json in the staging directory: who owns the
//     application, and which pools of containers it has. The client writes it, the
//     application master reads it at each attempt; it never changes.
//   - [Launch] is what one container's process is told at its start. It travels
//     in the container's credentials file, never in its environment or on its
//     command line, because both of these end up in logs and pages.
//
// Both are JSON with a version. Reading is strict: an unknown field, a value out
// of bounds or a later version is an error that says which, for a field that is
// not understood may be the one that matters.
//
// # Pools and commands
//
// A [Pool] is a set of containers alike: same role, same resources, same files.
// Each container runs one fixed command line,
//
//	./yarnd <role> 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr
//
// made by [Pool.CommandLine]. YARN joins commands by spaces and hands them to a
// shell without escaping anything, so nothing that a person typed may stand
// there: arguments are limited to characters that no shell looks at. Environment
// variables of the user travel in the Launch for the same reason, and the process
// sets them itself.
//
// The package is pure: values, checks, encodings. It opens no file.
package spec

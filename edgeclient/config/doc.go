// Package config knows what can be set, where it can be set, and who wins.
//
// # One table
//
// [Settings] is the only list of settings. A setting's key in yarnd.yaml gives its
// flag, its environment variable and its property in Hadoop's site files:
//
//	worker.memory   --worker-memory   YARND_WORKER_MEMORY   yarnd.worker.memory
//
// The command line defines its flags from the table, docs/configuration.md is
// written from it, and tests hold both to it.
//
// # Layers
//
// Each source gives a [Layer]: flags, environment, the file of -f, ./yarnd.yaml,
// the user's and the system's file, Hadoop's site files, defaults. A layer is a list
// of entries, each with its [Origin]. [Merge] lets the first layer that has an entry
// win. A list is one entry and replaces a lower one; a map is an entry for each of
// its names, so that layers add to it.
//
// # Strict
//
// [ParseYAML] takes what the table allows and nothing else: an unknown key, a wrong
// type, a value out of range is an [Error] with file, line, and the nearest key.
//
// The package is pure: it opens no file and reads no environment; the command line
// does both.
package config

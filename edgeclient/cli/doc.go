// Package cli is the command line: one file a command, each a thin adapter from
// flags to a verb of package edgeclient or of the engine's client.
//
// Conventions that every command keeps:
//
//   - Data goes to standard output; progress, hints and logs to standard error.
//   - "-o table|wide|json|jsonl|yaml|name" chooses the form of data. JSON and YAML
//     carry apiVersion, kind and items, and times in RFC 3339: a stable contract.
//   - An APP argument is a full id, a unique suffix of one, "last", "current",
//     "name:NAME", or the HOST:PORT of a scheduler that was started by hand (see
//     edgeclient.Client.Find). Where it may be left out, it is what --app, YARND_APP,
//     yarnd.yaml or yarnd connect say.
//   - Exit codes are those of edgeclient.Code. exec passes the remote code through.
//   - A flag that is a setting comes from package config's table, and its default
//     can be set by the environment, yarnd.yaml and Hadoop's site files; that of any
//     other flag by the environment alone (settings.go).
package cli

// Package edgeclient is what runs on the edge node: it stages an application,
// submits it, finds it again, watches it and ends it.
//
// # The verbs
//
//	Submit    check → new id → stage → submit → wait → id     submit.go
//	Find      "last", "current", a suffix, a name → one id     find.go
//	Report    what the cluster says of an application          cluster.go
//	Connect   id → owner's credential → session with its AM    session.go
//	Logs      of a running or a finished application           logs.go
//	Kill      end it and leave nothing                         kill.go
//
// # Where applications run
//
// A [Cluster] is a place that takes applications: YARN (yarn.go), or this
// machine (local.go), which runs the same application master as an ordinary
// process. The verbs know only the interface.
//
// # What lies where
//
// An application's staging directory, owner-only, on the cluster's file system:
//
//	~/.yarnd/<id>/spec.json    what to run (appmaster/spec)
//	~/.yarnd/<id>/seed         of the application's certificate authority
//	~/.yarnd/<id>/client.pem   the owner's credential: who can read it is the owner
//	~/.yarnd/<id>/launch.json  what is submitted, so that it can be again
//	~/.yarnd/<id>.<any>/       a staging directory that is being put together
//	~/.yarnd/names/<version>   which application has which name (names.go)
//	~/.yarnd/cache/…           bundles and archives by content; shared by applications
//
// The application master removes its staging directory when it finishes; Kill
// removes it for one that could not; each Submit sweeps up after applications
// that ended otherwise.
//
// Errors are [Fault] values: what failed, why, the next command, an exit code.
// A Submit that fails leaves nothing behind, on HDFS or in YARN.
package edgeclient

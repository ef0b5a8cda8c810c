// Package nm is a NodeManager in Go: on real sockets it speaks ContainerManagementProtocol as Hadoop 3.4.2 does with
// DefaultContainerExecutor, and it runs real processes in the directories, with the scripts, environments, signals and
// exit statuses of the real one. It is a half of the embedded cluster; to the other half, a ResourceManager, it speaks
// through package tracker.
//
//	n, err := nm.New(nm.Options{RM: rm, Dir: dir})
//	defer n.Close()
//
// # A container's way
//
//	startContainers   tokens are checked, the container is in the books      tokens.go, service.go
//	localizing        files are fetched once for all into the caches         localize.go, unpack.go
//	running           directories, launch_container.sh, container_tokens;    prepare.go, env.go, script.go,
//	                  then a Launcher runs the script                         launcher.go, processes.go
//	completing        its directories are removed                            run.go
//	done              heartbeats repeat its end until it is acknowledged     heartbeat.go
//
// One goroutine, [Node.run], takes a container all this way; all state is under Node.mu. Whoever wants a container to
// end calls [Node.kill], which notes the reason, and the goroutine finds out.
//
//	<local>/filecache/10/lib.jar                                        PUBLIC files
//	<local>/usercache/alice/filecache/10/data                           PRIVATE
//	<local>/usercache/alice/appcache/application_…/filecache/10/conf    APPLICATION
//	<local>/usercache/alice/appcache/application_…/container_…/         working directory: launch_container.sh,
//	                                                                    container_tokens, tmp, links to files
//	<local>/nmPrivate/application_…/container_…/container_….pid
//	<logs>/application_…/container_…/                                   stdout, stderr, prelaunch.out, prelaunch.err,
//	                                                                    launch_container.sh, directory.info
//
// When the ResourceManager says that an application has ended, its containers end, its directories go, and its logs
// are gathered into a TFile of the remote log directory, where package logagg and Java's readers find them (apps.go).
//
// # Nothing stays behind
//
// A container's end takes its session with it; Close takes all containers; the death of this process, by SIGKILL too,
// takes all processes with it: see [Processes].
//
// # Many nodes
//
// With a [Func] as Launcher containers are functions of this process: two hundred nodes with ten containers each need
// no process at all, and still localize, log and heartbeat.
//
// # Misbehaviour
//
// [Node.SetFaults] refuses starts, delays them, fails localizations, breaks disks; [Node.SetFault] does to single calls
// what a hadooptest.Fault can; [Node.KillContainer] is the kernel's out-of-memory killer; [Node.Crash] and
// [Node.Restart] are a crash with or without the containers; [Node.SetSilent] loses the node.
//
// # What it does not do
//
// Localize from anything but file:// URLs; auxiliary services; opportunistic containers and pausing; Docker; rolling
// log aggregation and its patterns; users: all runs as the one that runs this process, whatever the token's user is.
package nm

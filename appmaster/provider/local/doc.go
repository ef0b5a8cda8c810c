// Package local provides containers that are processes on this machine. It is
// what makes a laptop a cluster: the application master, its API and everything
// in the containers are the same as under YARN.
//
// # What a container is
//
//	<Dir>/containers/<id>/          working directory, mode 0700
//	    yarnd -> …                  localized files, by symbolic link
//	    container_tokens            credentials file, mode 0600
//	<Dir>/logs/<id>/stdout, stderr
//
// The process is the leader of a session of its own. Its environment is that of a
// container under YARN: CONTAINER_ID, NM_HOST, LOG_DIRS, LOCAL_DIRS, PWD, USER,
// HOME, HADOOP_TOKEN_FILE_LOCATION.
//
// # Nothing stays behind
//
// A container's end takes its whole session with it. The application master's own
// end, by SIGKILL too, takes all containers with it, by two means:
//
//   - the kernel sends each container's process SIGKILL when the thread that
//     started it ends (PR_SET_PDEATHSIG), so all are started by one thread that
//     lives as long as the provider;
//   - each gets the reading end of a pipe, the lifeline, whose writing end only
//     the application master holds: [WatchLifeline] ends the process when it
//     breaks. This also reaches a process that has lost its parent-death signal.
package local

// Command chaos hurts whole applications, again and again, while they work, and counts what that costs. It
// starts a YARN cluster in its own process (hadooptest/minicluster) with an HDFS (hdfs/hdfstest), submits itself as the
// application's program, and has jobs run whose results are known. Meanwhile it does one fault after the other, from a
// seed: it kills application masters, in each phase of their lives, schedulers and workers; stops them for a while; cuts
// the network between them, one way and both; takes HDFS away; fills disks; lets ResourceManagers fail over and
// NodeManagers restart; and kills clients, or has two at once.
//
//	chaos -for 10m -seed 1 -runs 3
//
// Several runs, each with a seed and a cluster of its own, go on side by side, in a process each. After each fault a run
// waits until its application is whole again; what came of all is one table. With -counts a run goes on until it has done
// its part of the numbers in kinds, for -at-most at the most, and what the deaths of application masters have cost is judged;
// with -each one of each kind is all.
//
// With -hadoop COMPOSITION it does the same to Hadoop's own daemons, in containers (package dockertest/cluster): there is one
// run, its numbers are the second ones in kinds, and the application's program is this one all the same. This process is
// then a client from outside the cluster, of whose hosts it learns the names from the description (hosts.go). On
// each node it runs itself once more as an agent, which looks into /proc and kills. So each kill is known to have hit a
// process that lived; masters are met while they stage and register by their processes and connections, and in
// the other phases by what they say of themselves (hadoop_master.go). With -lost-node all that is done is to take the
// power from the node of the application master.
//
// Where NameNodes are two (ha-nn), HDFS being away is also one of them killed or stopped, or both changing their parts.
//
//	chaos -hadoop ha -counts -for 30m
//	chaos -hadoop ha-nn -faults HDFS -for 10m
//	chaos -hadoop hasty -lost-node
//
//	main.go     flags
//	runs.go     runs side by side, each in private namespaces (package wires), and their sum
//	world.go    a run: the cluster, the application
//	place.go    what the cluster is that is hurt: the interface of the two that follow
//	embedded.go, embedded_trap.go  the one in this process; masters are met at their very calls
//	hadoop.go, hadoop_*.go         Hadoop's own daemons; agent.go is what runs on their nodes
//	kinds.go    the kinds of faults, and which comes next
//	kills.go    schedulers, workers; what is killed and what must be kept
//	master.go   application masters, by phase
//	network.go  partitions
//	storage.go  HDFS, disks
//	yarn.go     ResourceManagers and NodeManagers
//	lostnode.go the node of the application master is lost
//	clients.go  clients, which are processes of their own
//	whole.go    when the application is whole again, and what is left of it
//	work.go     jobs and how they are judged
//	forgotten.go  what is told of work that does not end
//	marks.go    which tasks ran, and which again
//	kept.go     which containers have to be there still
//	intervals.go  YARN's intervals, and which are not as by default
//	report.go, judge.go  the table, and what must not be in it
//
// What must never be: a task that was acknowledged and has no result, a result that differs from what somebody was told,
// a container, process or file that is left. The exit code is 1 then.
package main

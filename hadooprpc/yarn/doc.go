// Package yarn talks to YARN: to the ResourceManager as a client that submits and watches applications, to its
// scheduler as an application master, and to NodeManagers to start and stop containers.
//
//	Client     ApplicationClientProtocol       ResourceManager, port 8032     name and password: the user, Kerberos
//	AMClient   ApplicationMasterProtocol       ResourceManager, port 8030     AMRM token
//	NMClient   ContainerManagementProtocol     every NodeManager              one NMToken per node
//
// The life of an application, as calls:
//
//	Client.NewApplication ──► Client.Submit ──► (the RM starts the application master)
//	                                │
//	          AMClient.Register ◄───┘
//	          AMClient.Allocate   heartbeat: asks out, containers, tokens and completed containers in
//	          NMClient.StartContainers on each container's node, with the container's and the node's token
//	          AMClient.Finish
//	Client.Report, Client.Kill at any time
//
// Methods take a context and return messages of package pb or the small values of this package: ApplicationID,
// AttemptID, ContainerID and NodeID are comparable, print as Hadoop prints them and parse what Hadoop prints.
// Errors are those of package ipc; the questions IsNotFound, IsNotRegistered and so on name the exceptions that a
// caller acts upon. A call that succeeds as a whole may have failed for single containers: see ContainerResults.
//
// Sources: org.apache.hadoop.yarn.api.*, org.apache.hadoop.yarn.client.* (3.4.2).
package yarn

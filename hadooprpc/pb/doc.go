// Package pb holds our definitions of Hadoop's protobuf messages.
//
// They are ours, not copies of Hadoop's files, for one reason above all: google.golang.org/protobuf panics at
// start when two packages of one program register the same file path or message name, and other Hadoop clients
// for Go register Hadoop's own ("Security.proto", hadoop.common.TokenProto). Neither name travels, so these
// messages live in the proto packages yarnd.hadoop.common and yarnd.hadoop.yarn, under paths of their own.
// What does travel, field numbers, types and labels, is as in Hadoop 3.4.2; older and newer 3.x servers
// understand it, since Hadoop only ever adds fields.
//
// Names are Hadoop's without the suffix "Proto", so a search for a name in Hadoop's source finds its other half.
// Fields are in snake case throughout. Left out is what no call of this library sends or reads: reservations,
// the shared cache, federation, CSI and the administration protocols.
//
//	common/rpc.proto             frames: request and response headers, SASL, connection context
//	common/security.proto        tokens, credentials files, delegation-token calls
//	yarn/resources.proto         ids, resources, nodes
//	yarn/containers.proto        allocations, launch contexts, statuses
//	yarn/requests.proto          what is asked of the scheduler, preemption
//	yarn/applications.proto      submission, reports, queues
//	yarn/client_protocol.proto   ApplicationClientProtocol
//	yarn/master_protocol.proto   ApplicationMasterProtocol
//	yarn/container_protocol.proto ContainerManagementProtocol
//	yarn/token_identifiers.proto what is inside YARN's tokens
//
// The definitions are proto2, as Hadoop's are: presence matters (an absent exit status is -1000, not 0), and
// enumerations are closed (a value that a newer server invented reads as absent, and is kept as an unknown field).
package pb

//go:generate sh -c "cd ../.. && go tool -modfile=tools.mod buf generate"

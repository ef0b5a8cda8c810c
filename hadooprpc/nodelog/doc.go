// Package nodelog reads logs of containers that run, or have ended while their application runs, from the web servers of their
// NodeManagers (org.apache.hadoop.yarn.server.nodemanager.webapp.NMWebServices).
//
//	Log{node, container, "stderr"} ── Reader.Read(offset) ──► bytes
//
// Such a server lets everybody read, by the name that he says, or nobody without proof: where hadoop.http.authentication.type is
// kerberos it wants a ticket (package spnego). A Reader asks without, and proves who asks once it is told to; one that has no
// tickets, as an application master has none, says so by *RefusedError, and somebody with a ticket can read instead.
//
// Once an application has ended, its logs are where the cluster collected them: package logagg.
package nodelog

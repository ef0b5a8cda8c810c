// Package sasl authenticates Hadoop RPC connections: the exchange of RpcSasl messages as a pure core, and the
// mechanisms that it carries.
//
//	client                                 server
//	  NEGOTIATE                        →
//	                                   ←   NEGOTIATE  auths: TOKEN (with its challenge), KERBEROS, SIMPLE …
//	  INITIATE   the chosen auth, token →
//	                                   ←   CHALLENGE  token     ┐ as often as the mechanism needs
//	  RESPONSE   token                 →                        ┘
//	                                   ←   SUCCESS    token
//
// Two shortcuts exist. A server without security answers NEGOTIATE by SUCCESS, which means "no need, I believe your
// name" (SIMPLE). And a client that picks SIMPLE from the list gets no answer: the exchange is over once it said so.
// A client that was told to be secure accepts neither, whatever a middleman makes of the server's list.
//
// Client is that state machine. It does no I/O: messages go in, messages come out, so each path of it can be played
// in a test. Exchange is one run of a mechanism inside it, Mechanism makes exchanges from what a server offers.
// TOKEN is DIGEST-MD5 with a Hadoop token for name and password; KERBEROS is GSSAPI (folder gssapi) with a ticket, of
// which folder krb5 knows where it comes from.
//
// Once authenticated, a connection may be protected (auth-int, auth-conf): everything then travels inside RpcSasl
// messages of state WRAP, whose tokens a Layer makes and opens.
//
// Sources: org.apache.hadoop.security.SaslRpcClient, org.apache.hadoop.ipc.Server (3.4.2); RFC 2831 (DIGEST-MD5),
// RFC 4752 (GSSAPI).
package sasl

// Package spnego is how a client proves over HTTP who it is by Kerberos (RFC 4559), and the server that it is who it must be.
//
//	client                                                   server
//	  Authorization: Negotiate NegTokenInit(AP-REQ)      →
//	                                                     ←   WWW-Authenticate: Negotiate NegTokenResp(AP-REP)
//
// One request proves one time, in one step: the client does not wait to be asked. The negotiation (RFC 4178) has nothing to
// negotiate, for Kerberos is all that is offered. It proves who speaks; what is said is protected by TLS, or not at all.
//
// The negotiation's messages are those of jcmturner/gokrb5; what is in them is package gssapi's, which has the server prove
// itself: that library does not ask for it.
package spnego

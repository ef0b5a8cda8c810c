// Package kms gets the delegation tokens of a key management server, by which others come to the keys of HDFS's encryption
// zones in our name.
//
//	p, ok, err := kms.Parse(uri)             // what the NameNode names: kms://http@host1;host2:9600/kms
//	c := kms.New(p, kms.As(who))
//	t, err := c.DelegationToken(ctx, "yarn")
//
// A token is asked for over HTTP, by a ticket:
//
//	GET /kms/v1/?op=GETDELEGATIONTOKEN&renewer=yarn         Authorization: Negotiate …
//	                                                    →   {"Token":{"urlString":"…"}}
//	PUT /kms/v1/?op=RENEWDELEGATIONTOKEN&token=…            Authorization: Negotiate …
//	                                                    →   {"long":1764259200000}
//	PUT /kms/v1/?op=CANCELDELEGATIONTOKEN&token=…           nothing more: whoever has it may end it
//
// Keys themselves are not got here.
//
// Source: KMSClientProvider, LoadBalancingKMSClientProvider, DelegationTokenAuthenticator, DelegationTokenAuthenticationHandler.
package kms

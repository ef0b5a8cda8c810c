// Package login finds who a process is to a Hadoop cluster, as Hadoop's own clients do: by name where names are believed;
// with Kerberos by a keytab, by the ticket cache that kinit fills, or by the tokens that a cluster gave the process in the
// file of HADOOP_TOKEN_FILE_LOCATION. By tokens one is whose they are: Hadoop's own clients go on under the name of the account.
//
//	who, err := login.Find(c, login.Options{})
//	o, err := who.IPC(ipc.Options{}, c, login.ResourceManager(c, addrs))
//	rm := yarn.NewClient(yarn.Options{Addresses: addrs, IPC: o})
//
// Source: org.apache.hadoop.security.UserGroupInformation, SecurityUtil.
package login

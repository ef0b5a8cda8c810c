// Package authtolocal makes the short name of a Kerberos principal, as Hadoop's servers do: owners of files, users in
// queues and access lists are short names, while tickets and tokens have whole principals.
//
// The rules are those of hadoop.security.auth_to_local. Regular expressions in them are Java's; what Go's have not
// (references back, looking ahead or behind, possessive repetition) is an error that names the rule.
//
// Source: org.apache.hadoop.security.authentication.util.KerberosName.
package authtolocal

// Package canary looks for secrets where they must not be. A [Set] holds the secrets of an application, each in the ways in which
// somebody may write it: as it is, in hexadecimal, and in both alphabets of base 64, at whatever offset it lies in what was encoded.
// So a token in Hadoop's form for URLs is found by its password as well as by its identifier, and a credentials file in base 64 by
// any of its tokens.
//
// Keytab and Cache take the keys out of files of Kerberos.
package canary

// Package token reads and writes Hadoop's credentials files: the delegation
// tokens and secret keys that one process hands to the next. The node manager
// writes one for each container and names it in HADOOP_TOKEN_FILE_LOCATION; a
// launch context carries the same bytes in its field "tokens"; Oozie and
// Airflow pass such files to the commands they start.
//
// # The file
//
//	+----------------+---------+------------------------------+
//	| "HDTS" 4 bytes | version | body, to the end of the file |
//	+----------------+---------+------------------------------+
//
// Version 0 is a Writable, what Java writes unless told otherwise
// (org.apache.hadoop.security.Credentials.writeWritableOutputStream):
//
//	+-------------+---------------------------------------------+
//	| VInt tokens | tokens times:                               |
//	|             |   Text alias                                |
//	|             |   VInt + identifier,  VInt + password       |
//	|             |   Text kind,  Text service                  |
//	+-------------+---------------------------------------------+
//	| VInt keys   | keys times: Text alias, VInt + secret       |
//	+-------------+---------------------------------------------+
//	Text is a VInt length and UTF-8. VInt is Hadoop's, not protobuf's: see
//	appendVInt.
//
// Version 1 is a protobuf varint length and a CredentialsProto of that length.
//
// Both versions are read; both can be written, entries sorted by alias so that
// equal credentials have equal bytes. Nothing here prints a secret: String and
// LogValue name kinds, services and sizes only.
package token

// Package wire is the byte level of Hadoop IPC version 9: the seven bytes that open a connection and the frames
// that follow. It knows no socket and no state; package ipc adds those, package hadooptest the other side.
//
// A connection opens with
//
//	+---+---+---+---+------+---------+------+
//	| h | r | p | c | 0x09 | service | auth |      auth: 0x00 none, 0xDF SASL
//	+---+---+---+---+------+---------+------+
//
// and then carries frames in both directions:
//
//	+-------------+--------+----------+--------+----------+----
//	| length, u32 | varint | header   | varint | message  | …        length counts all that follows it
//	+-------------+--------+----------+--------+----------+----
//	  big endian
//
// Client to server:
//
//	call      RpcRequestHeader   RequestHeader   the method's request
//	set-up    RpcRequestHeader   IpcConnectionContext            call id -3
//	SASL      RpcRequestHeader   RpcSasl                         call id -33
//	ping      RpcRequestHeader                                   call id -4
//
// Server to client:
//
//	success   RpcResponseHeader  the method's response
//	error     RpcResponseHeader
//	SASL      RpcResponseHeader  RpcSasl
//
// Encoders append to a slice. Decoders take no memory that the sender has not paid for: a length is compared with
// a limit first, and even an allowed length is read in steps, so that a peer that announces 128 MiB and sends
// nothing costs a few KiB.
//
// Source: org.apache.hadoop.ipc.RpcConstants, Client, Server, RpcWritable (Hadoop 3.4.2).
package wire

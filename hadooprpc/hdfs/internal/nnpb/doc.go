// Package nnpb holds the messages of the few calls of the NameNode's ClientProtocol that package hdfs makes by
// itself, generated from hadooprpc/pb/yarnd/hadoop/hdfs/namenode.proto.
package nnpb

// Package logagg reads (and writes) the logs of finished containers that YARN's node
// managers gathered in HDFS ("log aggregation").
//
// # Where they are
//
// Each node manager that ran a container of an application writes one file,
// named after the node, into the application's directory:
//
//	<root>/<owner>/bucket-<suffix>/<NNNN>/<application>/<node>_<port>
//	<root>/<owner>/<suffix>/<application>/<node>_<port>             before 3.3
//
//	root    yarn.nodemanager.remote-app-log-dir, /tmp/logs unless set
//	suffix  "logs" for TFile, "logs-ifile" and the like for IndexedFile
//	NNNN    the application's number modulo 10,000
//
// A name that ends in ".tmp" is a file that is still being written. With
// rolling aggregation a node has several files, whose names end in a time.
//
// # TFile
//
// The default. A BCFile is a sequence of compressed blocks with an index
// (org.apache.hadoop.io.file.tfile.BCFile):
//
//	+---------+-----+------------+------------+--------------------------------+
//	| block 0 | ... | meta block | meta index | offset of meta index, 8 bytes  |
//	|         |     | ...        |            | version, 4 bytes               |
//	|         |     |            |            | magic, 16 bytes                |
//	+---------+-----+------------+------------+--------------------------------+
//
//	meta index        VInt n, n times: "data:"+name, compression, region
//	BCFile.index      the meta block with: compression, VInt n, n times: region
//	region            VLong offset, compressed size, raw size
//
// TFile puts records into the blocks: VInt key length, key, then the value in
// chunks, each with its VInt length, negative for all but the last. VInt and
// VLong are an encoding of TFile's own ([source.vlong]). For logs a key is a
// container id in Java's modified UTF, and a value is a sequence of
//
//	UTF name, UTF decimal length, so many bytes
//
// # IndexedFile
//
// Each log file of its own, compressed, then an index that is a serialized
// Java object (IndexedLogsMeta), its length in 4 bytes, and the SHA-256 of the
// application id, with which the file also begins. The object is read with a
// reader of Java's serialization grammar that makes no objects but plain maps
// and lists ([javaReader]).
//
// # Reading
//
// [Logs.Files] walks over all log files of all containers as readers; nothing
// is held in memory but buffers, so logs may be of any size. The files are as
// trustworthy as the node managers are; every length in them is checked before
// it is used all the same.
//
// # Writing
//
// [Writer] writes a TFile as a node manager does, for embedded clusters.
package logagg

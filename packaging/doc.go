// Package packaging turns what a user wants to have in the containers into
// resources that YARN can localize: the program itself (the bundle),
// environment archives, other archives and files.
//
//	what the user names          what is checked             what comes out
//	───────────────────          ───────────────             ──────────────
//	the running program     ──►  static ELF, right machine ─┐
//	env.tar.gz#env          ──►  every entry, whole file   ─┼─► Resource: URL, size,
//	data.csv, data.csv#name ──►  a regular file            ─┤   time, hash, link name
//	hdfs://ns/shared/x.zip  ──►  that it exists            ─┘
//
// # The cache
//
// Local files go into a content-addressed cache in HDFS, so that the second
// submission of the same file uploads nothing and the node managers, which
// know a resource by its URL and modification time, have it already:
//
//	<home>/.yarnd/cache/sha256/ab/ab12…ef/<name>
//	                           │  └ the hash of the contents
//	                           └ its first two digits
//
// An entry is written to a temporary name, its length compared, renamed to its
// final name in a way that never replaces another, and not touched again. All
// directories are 0700 and all files 0600; what is looser, or another user's,
// is refused. A submission notices an entry whose length is wrong, and reads and
// hashes one that this host sees for the first time, or under another
// modification time than before. It does not notice other contents of the same
// length under a time that it saw, which only the owner and the superuser can
// bring about by setting the time back; [Cache.Verify] does.
//
// Applications say in a [Lease] what they use. [Cache.GC] removes what nobody
// does and nobody did for long.
//
// On this side a small index remembers hashes by path, size, times and inode,
// so that an unchanged file is not read again. See [index] for what it trusts.
//
// # Archives
//
// [InspectArchive] reads an archive to its end and refuses whatever could
// write outside the directory into which it is unpacked, or fill the disk:
// absolute names, "..", links that lead outside, entries below a link,
// devices, too many entries or bytes, a compression ratio of a bomb. [Unpack]
// applies the same rules while it unpacks, inside an os.Root.
//
// [Inspect] also looks into the files: at what the nodes must have for them to
// work. [Pack] makes an archive of an environment, the same bytes for the same
// files, with a [Manifest] of that.
//
// YARN's node managers unpack by the suffix of the source's name and know
// .tar.gz, .tgz and .zip.
package packaging

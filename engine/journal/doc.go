// Package journal is a write-ahead journal for one writer that can be killed at any time, and
// followed by another on another host. Records are bytes; what they mean is the caller's. A record
// that was told safe is given to every later writer, in order, once.
//
// The journal lies in a Store, a directory of append-only files: dirstore (a local disk), memstore
// (tests), and in the root package HDFS. journaltest is the contract of all of them.
//
// # One writer
//
// A writer is an epoch: a number higher than that of any writer before. It opens the journal, replays it,
// and starts; then its goroutine writes what Append gathers in memory (queue), whenever Commit asks
// for it. One flush is under way at a time, and whatever is appended meanwhile goes with the next.
//
//	Append ──► queue ──► writer ──► segment 1, 2, … ──► Flush ──► OnFlushed
//	Snapshot, Add … End ──► snapshot ──► older segments and snapshots go
//
// Any error of a file makes it final: the writer begins the next segment, and writes all that is not
// known to be safe once more there. The first time it does so at once, for the file may be
// all that was wrong; then with growing pauses, for ever, while OnState tells. Records gather in memory
// meanwhile, and Pending says how much; the caller sets the bound.
//
// # Files
//
//	epoch-E-R       empty: epoch E has begun; R is random
//	segment-E-N     records of epoch E; N counts its files
//	snapshot-E-N    a state that stands for all records before a position
//
// Markers stay; they are how Generation counts. A segment begins with
//
//	0   8  "yarndjnl"
//	8   2  format version, 1
//	10  1  2: segment, 3: snapshot
//	11  1  0
//	12 16  the journal's id, random
//	28  8  epoch
//	36  4  N
//	40  8  the position at which the epoch began
//	48  8  the position of the first record; of a snapshot, the position it stands for
//	56  4  0
//	60  4  CRC-32C of bytes 0 to 59
//
// which is flushed before anything else is written, and goes on with blocks, which are the same in whatever segment they are written but for the position
// known to be safe:
//
//	0   4  "yjB\n"; "yjE\n" ends a snapshot
//	4   4  bytes of the body
//	8   4  count of records
//	12  8  position of the first; in a snapshot, how many come before it
//	20  8  the position that was known to be safe when this was written
//	28  4  CRC-32C of the body
//	32  4  CRC-32C of bytes 0 to 31
//	36     records: length (unsigned varint), bytes
//
// All integers are little-endian. The checksums of blocks begin with that of the journal's id, so that a journal
// within a record is not taken for the journal itself.
//
// # Reading
//
// Records are counted from 0 over all epochs: a record's position. The reader skips positions that
// it has, and refuses a gap. A file may end anywhere, within a block as well. What is behind the
// last whole block is no damage as long as nobody can have been told that it is safe: a block behind it that
// was written when it was safe is the proof of damage, and so is the next file, if it goes on behind a gap.
// Otherwise it is what a writer had not flushed when it died.
//
// When all is read the reader looks for a later epoch's marker: if there is none, nobody has removed what counts
// while it was being read.
//
// A snapshot counts if its end mark is there, which is written when all before it is flushed, and so are
// the records that were appended while it was being written: it may know of them. One
// without is removed with the next snapshot.
//
// # Why nothing that was acknowledged is ignored, and nothing of a zombie counts
//
// Epoch B opens the journal while A, an earlier one, may still live, or stand still for an hour and go
// on. The steps of both:
//
//	B1  create B's marker             A1  create a file
//	B2  list                          A2  list; end if there is a later epoch's marker
//	B3  seal all files of epochs < B  A3  write to the file, and flush
//	B4  read them                     A4  tell what was flushed safe
//
// Each epoch does its steps in this order; A does A1 and A2 once for each file, and A3 and A4 many times.
//
// A record that A told safe is in a file F, flushed. A2 for F did not see B's marker. So B1 ended after A2
// began, hence after A1 had ended, so that B2 lists F: B seals and reads it. The flush succeeded, so that it came
// before the seal, and the record is in what B reads. If F is not there any more it was removed for a
// snapshot, see below.
//
// A file that B2 does not list stays empty for ever: its A1 had not ended when B2 began, so that A2
// sees B's marker, and A3 never comes. A file that B2 lists is the same for all readers once it is
// sealed. So what B has read is exactly what each later epoch finds of epochs before B, and B's
// records follow it, from the position that the headers of B's files say. Records of earlier epochs from
// there on do not count; by the above there are none, unless a store broke its contract.
//
// A zombie's flush fails once its file is sealed; it begins another one, does A2, and knows. Nothing is written or
// told after OnFenced.
//
// A snapshot is a file of which the same holds: if A was told that its end is flushed, every later epoch lists it,
// and finds it whole. So their replay begins with it, or with a later one, and A removes what it stands for. The records
// that it may know of were told safe before its end was written, so they are in what B reads.
// B may have listed a file that A removes; B does not need it. A segment is removed only if the next one of its epoch
// begins at the snapshot's position or before; segments of earlier epochs are in the snapshot whole.
//
// Between any two steps a process may be killed. What is left behind is a marker, a file without
// header, a segment that ends early, a snapshot without end, or files that a whole snapshot stands for. None
// of them counts.
//
// All of this rests on the Store's contract: List shows what was created before, and Seal is the end of
// writing. HDFS has it from its NameNode, of which one is active, and from lease recovery.
package journal

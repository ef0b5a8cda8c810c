package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// The bytes are drawn in doc.go.

const (
	version   = 1
	headerLen = 64 // of a file
	frameLen  = 36 // a block's header

	// MaxRecord is the largest record, in bytes.
	MaxRecord = 256 << 20
	// maxBody holds one record of that size, or many smaller ones.
	maxBody = MaxRecord + binary.MaxVarintLen64
)

var (
	fileMagic  = []byte("yarndjnl")
	blockMagic = []byte("yjB\n")
	endMagic   = []byte("yjE\n")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// journalID tells one journal's files from another's, and is where the checksums of its blocks
// begin: bytes of another journal that lie in a record are no block of this one.
type journalID [16]byte

func (id journalID) seed() uint32 { return crc32.Checksum(id[:], castagnoli) }

// header is how a segment or a snapshot begins.
type header struct {
	fileID
	id         journalID
	epochFirst uint64 // position of the epoch's first record: what its writer had found before
	first      uint64 // segment: position of the first record; snapshot: how many records it stands for
}

func appendHeader(dst []byte, h header) []byte {
	at := len(dst)
	dst = append(dst, fileMagic...)
	dst = le.AppendUint16(dst, version)
	dst = append(dst, byte(h.kind), 0)
	dst = append(dst, h.id[:]...)
	dst = le.AppendUint64(dst, h.epoch)
	dst = le.AppendUint32(dst, h.seq)
	dst = le.AppendUint64(dst, h.epochFirst)
	dst = le.AppendUint64(dst, h.first)
	dst = le.AppendUint32(dst, 0)
	return le.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// parseHeader reads the header of the file of that name, from headerLen bytes. All versions have the checksum
// at the same place.
func parseHeader(f fileID, p []byte) (header, error) {
	if !bytes.HasPrefix(p, fileMagic) {
		return header{}, &DamageError{File: f.String(), Why: "it does not begin as a journal's file"}
	}
	if le.Uint32(p[60:]) != crc32.Checksum(p[:60], castagnoli) {
		return header{}, &DamageError{File: f.String(), Why: "the checksum of its header is wrong"}
	}
	if v := le.Uint16(p[8:]); v != version {
		return header{}, &VersionError{File: f.String(), Version: v}
	}
	h := header{
		fileID:     fileID{kind(p[10]), le.Uint64(p[28:]), le.Uint32(p[36:])},
		id:         journalID(p[12:28]),
		epochFirst: le.Uint64(p[40:]),
		first:      le.Uint64(p[48:]),
	}
	if h.fileID != f {
		return header{}, &DamageError{File: f.String(), Why: "it was written as " + h.fileID.String()}
	}
	return h, nil
}

// frame is a block's header.
type frame struct {
	end    bool   // the mark at the end of a snapshot: first is how many records there are
	length uint32 // bytes of the body
	count  uint32 // records in it
	first  uint64 // position of the first; in a snapshot, how many come before it
	safe   uint64 // position that was known to be safe when the block was written
	sum    uint32 // of the body
}

// put writes the header into the first frameLen bytes of p.
func (f frame) put(p []byte, seed uint32) {
	copy(p, blockMagic)
	if f.end {
		copy(p, endMagic)
	}
	le.PutUint32(p[4:], f.length)
	le.PutUint32(p[8:], f.count)
	le.PutUint64(p[12:], f.first)
	le.PutUint64(p[20:], f.safe)
	le.PutUint32(p[28:], f.sum)
	le.PutUint32(p[32:], crc32.Update(seed, castagnoli, p[:32]))
}

// parseFrame reads a block's header from the first frameLen bytes of p; ok is false if that
// is none.
func parseFrame(p []byte, seed uint32) (f frame, ok bool) {
	f.end = bytes.HasPrefix(p, endMagic)
	if !f.end && !bytes.HasPrefix(p, blockMagic) || le.Uint32(p[32:]) != crc32.Update(seed, castagnoli, p[:32]) {
		return frame{}, false
	}
	f.length, f.count = le.Uint32(p[4:]), le.Uint32(p[8:])
	f.first, f.safe, f.sum = le.Uint64(p[12:]), le.Uint64(p[20:]), le.Uint32(p[28:])
	return f, f.length <= maxBody && f.count <= f.length
}

// appendRecord puts a record into a block's body.
func appendRecord(dst, rec []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(rec))), rec...)
}

// cutRecord takes the first record off a block's body.
func cutRecord(body []byte) (rec, rest []byte, ok bool) {
	n, k := binary.Uvarint(body)
	if k <= 0 || n > uint64(len(body)-k) {
		return nil, nil, false
	}
	return body[k : k+int(n)], body[k+int(n):], true
}

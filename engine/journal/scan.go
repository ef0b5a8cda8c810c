package journal

import (
	"bufio"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
)

// errTorn ends a file whose last bytes are no whole block.
var errTorn = errors.New("torn")

// readError is an error of the store, to be tried again.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// scanner reads the blocks of one file, as a stream. It holds one block in memory.
type scanner struct {
	file string
	r    *bufio.Reader
	seed uint32
	off  int64  // of the next block
	next uint64 // position of the next record in this file
	body []byte
}

func newScanner(h header, r io.Reader, off int64) *scanner {
	s := &scanner{file: h.fileID.String(), r: bufio.NewReaderSize(r, 64<<10), seed: h.id.seed(), off: off}
	if h.kind == segment {
		s.next = h.first
	}
	return s
}

// block reads the next block. Its body is valid until the next call. The error is io.EOF at a
// clean end, errTorn, a readError or a *DamageError.
func (s *scanner) block() (frame, []byte, error) {
	p, err := s.r.Peek(frameLen)
	switch {
	case err == io.EOF && len(p) == 0:
		return frame{}, nil, io.EOF
	case err == io.EOF:
		return frame{}, nil, errTorn
	case err != nil:
		return frame{}, nil, readError{err}
	}
	f, ok := parseFrame(p, s.seed)
	if !ok {
		return frame{}, nil, s.lost("no block begins there")
	}
	_, _ = s.r.Discard(frameLen) // it is in the buffer
	if err := s.fill(int(f.length)); err != nil {
		return frame{}, nil, err
	}
	if crc32.Update(s.seed, castagnoli, s.body) != f.sum {
		return frame{}, nil, s.lost("the checksum of its records is wrong")
	}
	if f.first != s.next {
		return frame{}, nil, &DamageError{File: s.file, Offset: s.off, Why: "it goes on with other records than those that follow"}
	}
	s.off += frameLen + int64(f.length)
	s.next += uint64(f.count)
	return f, s.body, nil
}

// step is how much memory is taken before the bytes for it are there.
const step = 1 << 20

func (s *scanner) fill(n int) error {
	s.body = s.body[:0]
	for len(s.body) < n {
		at := len(s.body)
		s.body = append(s.body, make([]byte, min(step, n-at))...)
		if _, err := io.ReadFull(s.r, s.body[at:]); err == io.EOF || err == io.ErrUnexpectedEOF {
			return errTorn
		} else if err != nil {
			return readError{err}
		}
	}
	return nil
}

// lost tells a torn end from damage, at s.off. It is damage if a block behind it was written when what
// is missing was safe already. Other blocks may follow it after a loss of power: what was not flushed
// reaches a disk in any order.
func (s *scanner) lost(why string) error {
	for {
		p, err := s.r.Peek(frameLen)
		if err == io.EOF {
			return errTorn
		} else if err != nil {
			return readError{err}
		}
		f, ok := parseFrame(p, s.seed)
		if ok && (f.end || f.safe > s.next) {
			return &DamageError{File: s.file, Offset: s.off, Why: why + ", and what follows was written when it was safe"}
		}
		_, _ = s.r.Discard(1)
		p, _ = s.r.Peek(s.r.Buffered())
		if i := bytes.Index(p, blockMagic[:2]); i > 0 {
			_, _ = s.r.Discard(i)
		} else if i < 0 {
			_, _ = s.r.Discard(max(0, len(p)-1))
		}
	}
}

// records calls f with each record of a block, in order, with its position.
func records(file string, off int64, fr frame, body []byte, f func(pos uint64, rec []byte) error) error {
	bad := &DamageError{File: file, Offset: off, Why: "its records do not fill the block"}
	for i := range uint64(fr.count) {
		rec, rest, ok := cutRecord(body)
		if !ok {
			return bad
		}
		if err := f(fr.first+i, rec); err != nil {
			return err
		}
		body = rest
	}
	if len(body) != 0 {
		return bad
	}
	return nil
}

package journal

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kind says what a file is for.
type kind uint8

const (
	marker   kind = iota + 1 // empty: an epoch has begun
	segment                  // records, as they were appended
	snapshot                 // a state that stands for all records before a position
)

var kinds = map[kind]string{marker: "epoch", segment: "segment", snapshot: "snapshot"}

func (k kind) String() string { return kinds[k] }

// fileID is what a file's name says: epoch-00000000000000000003-0277d1f3 and
// segment-00000000000000000003-0000000001. The last part of a marker's name is random, in
// hexadecimal digits; of others it counts the epoch's files.
type fileID struct {
	kind  kind
	epoch uint64
	seq   uint32
}

func (f fileID) String() string {
	if f.kind == marker {
		return fmt.Sprintf("%s-%020d-%08x", f.kind, f.epoch, f.seq)
	}
	return fmt.Sprintf("%s-%020d-%010d", f.kind, f.epoch, f.seq)
}

// parseName reads a file's name; one that is not the journal's is false.
func parseName(name string) (fileID, bool) {
	for k, s := range kinds {
		rest, ok := strings.CutPrefix(name, s+"-")
		if !ok {
			continue
		}
		epoch, seq, ok := strings.Cut(rest, "-")
		if !ok {
			return fileID{}, false
		}
		base := 10
		if k == marker {
			base = 16
		}
		e, err := strconv.ParseUint(epoch, 10, 64)
		s, err2 := strconv.ParseUint(seq, base, 32)
		id := fileID{k, e, uint32(s)}
		if err != nil || err2 != nil || s > math.MaxUint32 || id.String() != name {
			return fileID{}, false
		}
		return id, true
	}
	return fileID{}, false
}

// Newest returns the highest epoch that has opened the journal of a store, 0 if none has.
func Newest(ctx context.Context, s Store) (epoch uint64, err error) {
	names, err := s.List(ctx)
	for _, f := range parseNames(names) {
		epoch = max(epoch, f.epoch)
	}
	return epoch, err
}

// parseNames keeps what is the journal's.
func parseNames(names []string) []fileID {
	ids := make([]fileID, 0, len(names))
	for _, n := range names {
		if id, ok := parseName(n); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

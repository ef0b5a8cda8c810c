package wire

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The messages that every task passes through (Submit, Assign, Done, Ended) are encoded
// and decoded here, a column at a time, as long as they hold nothing but columns. The
// bytes are the same protobuf: what this does not know, and what is odd in any way, is
// left to the library, which then also says what is wrong with it.

// column is one field of a message, by its number.
type column struct {
	num  protowire.Number
	one  *uint32
	u32  *[]uint32
	u64  *[]uint64
	data *[]byte
}

// columnar is a message of columns.
type columnar interface {
	proto.Message
	// columns returns the fields, in order, and whether there is nothing set beside them.
	columns() (of [16]column, only bool)
}

func (m *Assign) columns() (of [16]column, only bool) {
	return [16]column{
		{num: 1, u32: &m.Job}, {num: 2, u32: &m.Index}, {num: 3, u32: &m.Attempt}, {num: 4, u32: &m.Class},
		{num: 5, u32: &m.PayEnd}, {num: 6, data: &m.Payload},
		{num: 7, u32: &m.InEnd}, {num: 8, u32: &m.InJob}, {num: 9, u32: &m.InIndex}, {num: 10, u32: &m.InAttempt},
		{num: 11, u64: &m.InSize}, {num: 12, u32: &m.InlineEnd}, {num: 13, data: &m.Inline},
		{num: 14, u32: &m.HolderEnd}, {num: 15, u32: &m.Holder}, {num: 16, one: &m.More},
	}, true
}

func (m *Done) columns() (of [16]column, only bool) {
	return [16]column{
		{num: 1, u32: &m.Job}, {num: 2, u32: &m.Index}, {num: 3, u32: &m.Attempt}, {num: 4, u64: &m.Size},
		{num: 5, u32: &m.DurationUs}, {num: 6, u32: &m.InlineEnd}, {num: 7, data: &m.Inline},
	}, true
}

func (m *Submit) columns() (of [16]column, only bool) {
	return [16]column{
		{num: 1, one: &m.Job}, {num: 2, one: &m.First}, {num: 3, u32: &m.Class},
		{num: 4, u32: &m.DepEnd}, {num: 5, u32: &m.DepJob}, {num: 6, u32: &m.DepIndex},
		{num: 7, u32: &m.PayEnd}, {num: 8, data: &m.Payload},
		{num: 9, u32: &m.HostEnd}, {num: 10, u32: &m.Host}, {num: 12, data: &m.Loose},
	}, len(m.HostName) == 0
}

func (m *Ended) columns() (of [16]column, only bool) {
	return [16]column{
		{num: 1, one: &m.Job}, {num: 2, u32: &m.Index}, {num: 3, u32: &m.Kind}, {num: 4, u64: &m.Size},
		{num: 5, u32: &m.InlineEnd}, {num: 6, data: &m.Inline}, {num: 7, u32: &m.HolderEnd}, {num: 8, u32: &m.Holder},
		{num: 11, u32: &m.Attempt}, {num: 12, one: &m.Next}, {num: 13, u32: &m.Again},
	}, m.Peers == nil && len(m.Failure) == 0
}

// envelope returns the message of columns within a Request or Reply, its field there
// and the id.
func envelope(m proto.Message) (id uint64, field protowire.Number, inner columnar) {
	switch m := m.(type) {
	case *Request:
		if b, ok := m.Body.(*Request_Submit); ok && b.Submit != nil {
			return m.Id, 3, b.Submit
		}
	case *Reply:
		if b, ok := m.Body.(*Reply_Ended); ok && b.Ended != nil && m.Error == nil {
			return m.Id, 4, b.Ended
		}
	}
	return 0, 0, nil
}

// ---- encoding ------------------------------------------------------------------

// appendHot appends m if it is a message of columns, or a Request or Reply of one.
func appendHot(dst []byte, m proto.Message) (_ []byte, ok bool) {
	if c, is := m.(columnar); is {
		return appendColumns(dst, c)
	}
	id, field, inner := envelope(m)
	if inner == nil {
		return dst, false
	}
	start := len(dst)
	if id != 0 {
		dst = protowire.AppendVarint(protowire.AppendTag(dst, 1, protowire.VarintType), id)
	}
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst, at := beginLength(dst)
	if dst, ok = appendColumns(dst, inner); !ok {
		return dst[:start], false
	}
	return endLength(dst, at), true
}

func appendColumns(dst []byte, m columnar) ([]byte, bool) {
	columns, only := m.columns()
	if !only {
		return dst, false
	}
	for i := range columns {
		switch c := &columns[i]; {
		case c.one != nil:
			if v := *c.one; v != 0 {
				dst = protowire.AppendVarint(protowire.AppendTag(dst, c.num, protowire.VarintType), uint64(v))
			}
		case c.u32 != nil:
			dst = appendPacked(dst, c.num, *c.u32)
		case c.u64 != nil:
			dst = appendPacked(dst, c.num, *c.u64)
		case c.data != nil && len(*c.data) > 0:
			dst = protowire.AppendBytes(protowire.AppendTag(dst, c.num, protowire.BytesType), *c.data)
		}
	}
	return dst, true
}

func appendPacked[T uint32 | uint64](dst []byte, num protowire.Number, values []T) []byte {
	if len(values) == 0 {
		return dst
	}
	dst, at := beginLength(protowire.AppendTag(dst, num, protowire.BytesType))
	for _, v := range values {
		for v >= 0x80 {
			dst = append(dst, byte(v)|0x80)
			v >>= 7
		}
		dst = append(dst, byte(v))
	}
	return endLength(dst, at)
}

// lengthRoom is how many bytes the length of a field has at most: a frame's is a u32.
const lengthRoom = 5

// beginLength leaves room for the length of what is appended from now on.
func beginLength(dst []byte) (_ []byte, at int) {
	return append(dst, make([]byte, lengthRoom)...), len(dst)
}

// endLength writes the length, and closes the gap that is left.
func endLength(dst []byte, at int) []byte {
	from := at + lengthRoom
	n := len(dst) - from
	if n>>(7*lengthRoom) != 0 { // AppendFrame refuses it for its size
		return dst
	}
	k := binary.PutUvarint(dst[at:from], uint64(n))
	return dst[:at+k+copy(dst[at+k:], dst[from:])]
}

// ---- decoding ------------------------------------------------------------------

// parseHot decodes body into m, which is empty. It reports false, and leaves something
// in m, for what is to be decoded by the library.
func parseHot(body []byte, m proto.Message) bool {
	switch m := m.(type) {
	case columnar:
		return parseColumns(body, m)
	case *Request:
		if inner, ok := parseEnvelope(body, &m.Id, 3); ok {
			submit := &Submit{}
			m.Body = &Request_Submit{submit}
			return parseColumns(inner, submit)
		}
	case *Reply:
		if inner, ok := parseEnvelope(body, &m.Id, 4); ok {
			ended := &Ended{}
			m.Body = &Reply_Ended{ended}
			return parseColumns(inner, ended)
		}
	}
	return false
}

// parseEnvelope decodes an id, if there is one, and then one message, and nothing else.
func parseEnvelope(body []byte, id *uint64, field protowire.Number) (inner []byte, ok bool) {
	if num, typ, n := protowire.ConsumeTag(body); n > 0 && num == 1 && typ == protowire.VarintType {
		v, k := protowire.ConsumeVarint(body[n:])
		if k < 0 {
			return nil, false
		}
		*id, body = v, body[n+k:]
	}
	num, typ, n := protowire.ConsumeTag(body)
	if n < 0 || num != field || typ != protowire.BytesType {
		return nil, false
	}
	inner, k := protowire.ConsumeBytes(body[n:])
	return inner, k >= 0 && n+k == len(body)
}

// parseColumns decodes fields that come in order and once each.
func parseColumns(body []byte, m columnar) bool {
	columns, _ := m.columns()
	next := 0
	for len(body) > 0 {
		num, typ, n := protowire.ConsumeTag(body)
		if n < 0 {
			return false
		}
		body = body[n:]
		for next < len(columns) && columns[next].num < num {
			next++
		}
		if next == len(columns) || columns[next].num != num {
			return false
		}
		c := &columns[next]
		next++
		if c.one != nil {
			v, n := protowire.ConsumeVarint(body)
			if typ != protowire.VarintType || n < 0 {
				return false
			}
			*c.one, body = uint32(v), body[n:]
			continue
		}
		field, n := protowire.ConsumeBytes(body)
		if typ != protowire.BytesType || n < 0 || !c.parse(field) {
			return false
		}
		body = body[n:]
	}
	return true
}

// parse decodes a column that is not one value alone.
func (c *column) parse(b []byte) (ok bool) {
	switch {
	case c.u32 != nil:
		*c.u32, ok = parsePacked[uint32](b)
	case c.u64 != nil:
		*c.u64, ok = parsePacked[uint64](b)
	default:
		*c.data, ok = append([]byte(nil), b...), true
	}
	return ok
}

func parsePacked[T uint32 | uint64](b []byte) ([]T, bool) {
	values, at := make([]T, countVarints(b)), 0
	for i := range values {
		v := T(b[at])
		at++
		if v >= 0x80 {
			v &= 0x7f
			for shift := 7; ; shift += 7 {
				x := b[at] // some byte ends the number: it was counted
				at++
				v |= T(x&0x7f) << shift // what is too much for a uint32 is cut off, as by the library
				if shift == 63 && x > 1 {
					return nil, false
				}
				if x < 0x80 {
					break
				}
			}
		}
		values[i] = v
	}
	return values, at == len(b)
}

// countVarints counts the numbers in b: each has one byte without the upper bit.
func countVarints(b []byte) (n int) {
	const upper = 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(^binary.LittleEndian.Uint64(b) & upper)
	}
	for _, v := range b {
		n += int(^v >> 7)
	}
	return n
}

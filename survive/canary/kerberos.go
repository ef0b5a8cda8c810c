package canary

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Keytab returns the keys of a keytab file.
//
//	05 02, then for each entry
//	int32 size, uint16 components, realm, components, uint32 name type, uint32 time, uint8 version, uint16 type, key
//
// where texts and the key have their length before them, as uint16; a negative size is a hole.
// Source: MIT Kerberos, doc/formats/keytab_file_format.rst.
func Keytab(file []byte) (keys [][]byte, err error) {
	r := &fields{b: file}
	if r.uint16() != 0x0502 {
		return nil, errors.New("canary: this is no keytab of version 2")
	}
	for len(r.b) > 0 && !r.short {
		size := int32(r.uint32())
		if size < 0 {
			r.take(uint32(-size))
			continue
		}
		e := &fields{b: r.take(uint32(size))}
		for range 1 + e.uint16() {
			e.take(uint32(e.uint16()))
		}
		e.take(4 + 4 + 1 + 2)
		keys = append(keys, e.take(uint32(e.uint16())))
		r.short = r.short || e.short
	}
	return whole(keys, r, "keytab")
}

// Cache returns the session keys in a file of tickets.
//
//	05 04, uint16 length of a header, which is skipped, then the client, then for each ticket
//	client, server, uint16 type, key, 4 times, is_skey, 4 bytes of flags, addresses, authorization data, ticket, second ticket
//
// where all that varies has its length, or its number, before it, as uint32.
// Source: MIT Kerberos, doc/formats/ccache_file_format.rst.
func Cache(file []byte) (keys [][]byte, err error) {
	r := &fields{b: file}
	if r.uint16() != 0x0504 {
		return nil, errors.New("canary: this is no ticket cache of version 4")
	}
	r.take(uint32(r.uint16()))
	r.principal()
	for len(r.b) > 0 && !r.short {
		r.principal()
		r.principal()
		r.take(2)
		if key := r.data(); len(key) > 0 { // what MIT's library notes for itself (X-CACHECONF) has none
			keys = append(keys, key)
		}
		r.take(4*4 + 1 + 4)
		for range 2 { // addresses, authorization data
			for range r.uint32() {
				if r.take(2); r.short {
					break
				}
				r.data()
			}
		}
		r.data()
		r.data()
	}
	return whole(keys, r, "ticket cache")
}

func whole(keys [][]byte, r *fields, what string) ([][]byte, error) {
	if r.short {
		return nil, fmt.Errorf("canary: a %s that ends within an entry", what)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("canary: a %s without keys", what)
	}
	return keys, nil
}

// fields reads what is written one behind the other, big-endian. What is not there is zero.
type fields struct {
	b     []byte
	short bool // it ended too early
}

func (r *fields) take(n uint32) []byte {
	if r.short = r.short || uint64(n) > uint64(len(r.b)); r.short {
		r.b = nil
		return make([]byte, min(n, 4))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *fields) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *fields) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *fields) data() []byte   { return r.take(r.uint32()) }

// principal skips the type, the number of components, the realm and the components.
func (r *fields) principal() {
	r.take(4)
	for range uint64(r.uint32()) + 1 {
		if r.data(); r.short {
			return
		}
	}
}

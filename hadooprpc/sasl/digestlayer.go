package sasl

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"strings"
)

// digestOverhead is the most bytes by which wrapping lengthens a message: padding, MAC, version, sequence number.
const digestOverhead = 8 + 10 + 2 + 4

// chooseCipher picks from a list such as "3des,rc4,des,rc4-56,rc4-40". The ciphers of 56 bits and less are left out:
// they protect nothing. Those that stay are old, too, but nothing better exists in DIGEST-MD5.
func chooseCipher(list string) string {
	for _, want := range []string{"3des", "rc4"} {
		for w := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(w) == want {
				return want
			}
		}
	}
	return ""
}

// digestLayer protects messages as in RFC 2831 sections 2.3 (integrity) and 2.4 (confidentiality):
//
//	auth-int    message                    | MAC[0:10] | 00 01 | sequence number, u32
//	auth-conf   E(message | padding | MAC[0:10])       | 00 01 | sequence number, u32
//
// MAC is HMAC-MD5 over sequence number and message. Each direction has its own keys, its own count from zero, and a
// cipher whose state runs on from message to message.
type digestLayer struct {
	out, in digestDirection
	maxWrap int
}

type digestDirection struct {
	macKey  [md5.Size]byte
	seq     uint32
	pad     int // cipher's block size; 0 for a stream cipher or none
	encrypt func(dst, src []byte)
	decrypt func(dst, src []byte)
}

func newDigestLayer(key [md5.Size]byte, cipherName string, peerMax int, client bool) *digestLayer {
	toServer := newDirection(key, cipherName, "client-to-server")
	toClient := newDirection(key, cipherName, "server-to-client")
	l := &digestLayer{out: toServer, in: toClient, maxWrap: peerMax - digestOverhead}
	if !client {
		l.out, l.in = toClient, toServer
	}
	return l
}

func newDirection(key [md5.Size]byte, cipherName, direction string) digestDirection {
	d := digestDirection{
		macKey: md5.Sum(append(key[:], "Digest session key to "+direction+" signing key magic constant"...)),
	}
	if cipherName == "" {
		return d
	}
	k := md5.Sum(append(key[:], "Digest H(A1) to "+direction+" sealing key magic constant"...))
	switch cipherName {
	case "rc4":
		c, _ := rc4.NewCipher(k[:]) // 16 bytes are always accepted
		d.encrypt, d.decrypt = c.XORKeyStream, c.XORKeyStream
	case "3des":
		k1, k2 := spreadParity(k[0:7]), spreadParity(k[7:14])
		c, _ := des.NewTripleDESCipher(append(append(k1, k2...), k1...))
		d.pad = c.BlockSize()
		d.encrypt = cipher.NewCBCEncrypter(c, k[8:]).CryptBlocks
		d.decrypt = cipher.NewCBCDecrypter(c, k[8:]).CryptBlocks
	default:
		panic("sasl: cipher " + cipherName + " was never chosen")
	}
	return d
}

// spreadParity turns 56 key bits into the eight bytes of a DES key, whose lowest bits are ignored.
func spreadParity(k []byte) []byte {
	var v uint64
	for _, b := range k {
		v = v<<8 | uint64(b)
	}
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(v>>(49-7*i)) << 1
	}
	return out
}

func (d *digestDirection) mac(seq uint32, msg []byte) []byte {
	h := hmac.New(md5.New, d.macKey[:])
	h.Write(binary.BigEndian.AppendUint32(nil, seq))
	h.Write(msg)
	return h.Sum(nil)[:10]
}

func (l *digestLayer) MaxWrap() int { return l.maxWrap }

func (l *digestLayer) Wrap(dst, msg []byte) ([]byte, error) {
	if len(msg) > l.maxWrap {
		return dst, failf("a piece of %d bytes is longer than the %d the peer takes", len(msg), l.maxWrap)
	}
	d := &l.out
	start := len(dst)
	dst = append(dst, msg...)
	if d.pad > 0 {
		n := d.pad - (len(msg)+10)%d.pad
		for range n {
			dst = append(dst, byte(n))
		}
	}
	dst = append(dst, d.mac(d.seq, msg)...)
	if d.encrypt != nil {
		d.encrypt(dst[start:], dst[start:])
	}
	dst = append(dst, 0, 1)
	dst = binary.BigEndian.AppendUint32(dst, d.seq)
	d.seq++
	return dst, nil
}

func (l *digestLayer) Unwrap(token []byte) ([]byte, error) {
	d := &l.in
	if len(token) < 16 {
		return nil, failf("a protected message of %d bytes", len(token))
	}
	body, tail := token[:len(token)-6], token[len(token)-6:]
	if tail[0] != 0 || tail[1] != 1 || binary.BigEndian.Uint32(tail[2:]) != d.seq {
		return nil, failf("a protected message is out of order: replayed, lost or forged")
	}
	if d.decrypt != nil {
		if d.pad > 0 && len(body)%d.pad != 0 {
			return nil, failf("a protected message is cut")
		}
		plain := make([]byte, len(body))
		d.decrypt(plain, body)
		body = plain
	}
	msg, mac := body[:len(body)-10], body[len(body)-10:]
	padOK := true
	if d.pad > 0 {
		n := 0
		if len(msg) > 0 {
			n = int(msg[len(msg)-1])
		}
		if padOK = n >= 1 && n <= d.pad && n <= len(msg); padOK {
			msg = msg[:len(msg)-n]
		}
	}
	// The MAC is computed even when the padding is wrong, so that both failures look alike.
	if !hmac.Equal(mac, d.mac(d.seq, msg)) || !padOK {
		return nil, failf("a protected message was changed on its way")
	}
	d.seq++
	return msg, nil
}

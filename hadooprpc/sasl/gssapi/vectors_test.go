package gssapi

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 8009 appendix A: checksums and encryptions under key usage 2.
func TestVectorsRFC8009(t *testing.T) {
	for _, v := range []struct {
		keyType            int32
		key, checksum      string
		plain, cipher, mac string
	}{
		{19, "3705D96080C17728A0E800EAB6E0D23C", "D78367186643D67B411CBA9139FC1DEE",
			"", "EF85FB890BB8472F4DAB20394DCA781D", "AD877EDA39D50C870C0D5A0A8E48C718"},
		{19, "3705D96080C17728A0E800EAB6E0D23C", "D78367186643D67B411CBA9139FC1DEE",
			"000102030405", "84D7F30754ED987BAB0BF3506BEB09CFB55402CEF7E6", "877CE99E247E52D16ED4421DFDF8976C"},
		{20, "6D404D37FAF79F9DF0D33568D320669800EB4836472EA8A026D16B7182460C52", "45EE791567EEFCA37F4AC1E0222DE80D43C3BFA06699672A",
			"", "41F53FA5BFE7026D91FAF9BE959195A0", "58707273A96A40F0A01960621AC612748B9BBFBE7EB4CE3C"},
	} {
		k, err := newUsageKey(Key{KeyType: v.keyType, KeyValue: unhex(t, v.key)}, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.sum(unhex(t, "000102030405060708090A0B0C0D0E0F1011121314")); !bytes.Equal(got, unhex(t, v.checksum)) {
			t.Errorf("type %d: checksum %x, and %s in the RFC", v.keyType, got, v.checksum)
		}
		if got, err := k.open(unhex(t, v.cipher+v.mac)); err != nil || !bytes.Equal(got, unhex(t, v.plain)) {
			t.Errorf("type %d: opened %x, %v, and %q in the RFC", v.keyType, got, err, v.plain)
		}
	}
}

// A wrap token that a Java server sent: the four bytes of RFC 4752 with a checksum by an AES-128 key. From the tests of
// jcmturner/gokrb5.
func TestTokenOfAJavaServer(t *testing.T) {
	key := Key{KeyType: 17, KeyValue: unhex(t, "14f9bde6b50ec508201a97f74c4e5bd3")}
	m, err := newMessages(key, false, false, 0, 0x575e85d6)
	if err != nil {
		t.Fatal(err)
	}
	token := unhex(t, "050401ff000c000000000000575e85d601010000853b728d5268525a1386c19f")
	if got, sealed, err := m.Unwrap(token); err != nil || sealed || !bytes.Equal(got, []byte{1, 1, 0, 0}) {
		t.Errorf("%x, sealed %v, %v", got, sealed, err)
	}
	answer, err := m.Wrap(nil, []byte{1, 1, 0, 0}, false)
	if want := unhex(t, "050400ff000c000000000000000000000101000079a033510b6f127212242b97"); err != nil || !bytes.Equal(answer, want) {
		t.Errorf("the answer is %x, %v, and %x in that test", answer, err, want)
	}
}

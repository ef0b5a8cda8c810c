package gssapi

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
)

func eachType(t *testing.T, f func(t *testing.T, keyType int32)) {
	for _, kt := range SupportedTypes {
		t.Run(kt.Name, func(t *testing.T) { f(t, kt.ID) })
	}
}

func TestContext(t *testing.T) {
	eachType(t, func(t *testing.T, keyType int32) {
		t.Run("subkey", func(t *testing.T) { converse(t, keyType, true) })
		t.Run("no subkey", func(t *testing.T) { converse(t, keyType, false) })
	})
}

func converse(t *testing.T, keyType int32, subkey bool) {
	i, a := establishBy(t, keyType, subkey)
	for n := range 40 {
		for _, sealed := range []bool{true, false} {
			msg := bytes.Repeat([]byte{byte(n)}, n*7)
			for _, way := range []struct{ from, to *Messages }{{i, a}, {a, i}} {
				token, err := way.from.Wrap([]byte("x"), msg, sealed)
				if err != nil {
					t.Fatal(err)
				}
				if len(token)-1 > len(msg)+way.from.Overhead() {
					t.Errorf("%d bytes became %d, the overhead is said to be %d", len(msg), len(token)-1, way.from.Overhead())
				}
				if sealed && n > 0 && bytes.Contains(token, msg) {
					t.Error("a sealed token shows its message")
				}
				got, was, err := way.to.Unwrap(token[1:])
				if err != nil || was != sealed || !bytes.Equal(got, msg) {
					t.Fatalf("message %d, sealed %v: %x, %v, %v", n, sealed, got, was, err)
				}
			}
		}
	}
}

// Whoever is in the middle changes any one byte: it is found, and what went before counts on.
func TestEachByteOfMessages(t *testing.T) {
	eachType(t, func(t *testing.T, keyType int32) {
		i, a := establish(t, keyType)
		for _, sealed := range []bool{true, false} {
			token, _ := i.Wrap(nil, []byte("give me the list"), sealed)
			for at := range token {
				bad := bytes.Clone(token)
				bad[at] ^= 0x10
				got, _, err := a.Unwrap(bad)
				if whole := 0x1000%(len(token)-headerSize) == 0; err == nil && at == 6 && whole && string(got) == "give me the list" {
					a.in.seq-- // the rotation, which no proof covers, says: by as many bytes as there are
				} else if err == nil {
					t.Errorf("sealed %v, byte %d changed: taken for %q", sealed, at, got)
				}
			}
			for n := range token {
				if _, _, err := a.Unwrap(bytes.Clone(token[:n])); err == nil {
					t.Errorf("sealed %v, cut after %d bytes: taken", sealed, n)
				}
			}
			if _, _, err := a.Unwrap(bytes.Clone(token)); err != nil {
				t.Fatalf("the true one: %v", err)
			}
			if _, _, err := a.Unwrap(token); !errors.Is(err, errOrder) {
				t.Errorf("the same once more: %v", err)
			}
		}
	})
}

func TestOrder(t *testing.T) {
	i, a := establish(t, 18)
	first, _ := i.Wrap(nil, []byte("first"), true)
	second, _ := i.Wrap(nil, []byte("second"), true)
	if _, _, err := a.Unwrap(bytes.Clone(second)); !errors.Is(err, errOrder) {
		t.Errorf("the second before the first: %v", err)
	}
	if _, _, err := i.Unwrap(first); err == nil {
		t.Error("a token was taken by who made it")
	}
}

// Others send tokens whose body is rotated.
func TestRotated(t *testing.T) {
	eachType(t, func(t *testing.T, keyType int32) {
		i, a := establish(t, keyType)
		for n := range 90 {
			for _, sealed := range []bool{true, false} {
				token, _ := i.Wrap(nil, []byte("thirty-one bytes of a message.."), sealed)
				body := token[headerSize:]
				r := n % len(body)
				copy(body, append(bytes.Clone(body[len(body)-r:]), body[:len(body)-r]...))
				token[7] = byte(n)
				if got, _, err := a.Unwrap(token); err != nil || string(got) != "thirty-one bytes of a message.." {
					t.Fatalf("rotated by %d, sealed %v: %q, %v", n, sealed, got, err)
				}
			}
		}
	})
}

func TestEachByteOfTheAnswer(t *testing.T) {
	r := newRealm(18)
	i, _ := NewInitiator(ticket(t, r), now)
	first, _ := i.Token()
	answer, err := r.Acceptor(service).Accept(first, now)
	if err != nil {
		t.Fatal(err)
	}
	var taken []int
	for at := range answer {
		bad := bytes.Clone(answer)
		bad[at] ^= 0x21
		if err := i.Finish(bad); err == nil {
			taken = append(taken, at)
			i.sealed = nil
		}
	}
	// No proof covers the frame of ASN.1, which the library reads generously; what it frames is covered.
	var rep messages.APRep
	body, _ := unframe(idAPRep, answer)
	if err := rep.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	for _, at := range taken {
		if at >= len(answer)-len(rep.EncPart.Cipher) {
			t.Errorf("taken with byte %d of %d changed", at, len(answer))
		}
	}
	other, _ := NewInitiator(ticket(t, r), now.Add(time.Second))
	if err := other.Finish(answer); !errors.Is(err, errProof) {
		t.Errorf("the answer to another request: %v", err)
	}
	if err := i.Finish(answer); err != nil {
		t.Fatal(err)
	}
}

func TestRefused(t *testing.T) {
	r := newRealm(18)
	cred := ticket(t, r)
	token := func(c Credential, at time.Time) []byte {
		i, err := NewInitiator(c, at)
		if err != nil {
			t.Fatal(err)
		}
		b, err := i.Token()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mallory := cred
	mallory.Client.NameString = []string{"mallory"}
	otherKey := cred
	otherKey.Key = newKey(18)
	for _, c := range []struct {
		name, want string
		token      []byte
		at         time.Time
	}{
		{"another name", "another client", token(mallory, now), now},
		{"another key", "decrypting authenticator", token(otherKey, now), now},
		{"clocks differ", "clock skew", token(cred, now), now.Add(6 * time.Minute)},
		{"expired", "has expired", token(cred, now.Add(2*time.Hour)), now.Add(2 * time.Hour)},
		{"early", "not valid yet", token(cred, now.Add(-time.Hour)), now.Add(-time.Hour)},
		{"nothing", "not a token", nil, now},
		{"noise", "not a token", []byte("GET / HTTP/1.1\r\n"), now},
	} {
		if _, err := r.Acceptor(service).Accept(c.token, c.at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := newRealm(18).Acceptor(service).Accept(token(cred, now), now); err == nil {
		t.Error("a ticket by another realm of that name was accepted")
	}
	rc4 := cred
	rc4.Key = Key{KeyType: 23, KeyValue: make([]byte, 16)}
	if _, err := NewInitiator(rc4, now); !errors.Is(err, ErrKeyType) {
		t.Errorf("an RC4 session key: %v", err)
	}
}

func FuzzUnwrap(f *testing.F) {
	i, a := establish(f, 18)
	for _, sealed := range []bool{true, false} {
		token, _ := i.Wrap(nil, []byte("message"), sealed)
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		seq := a.in.seq
		if _, _, err := a.Unwrap(token); err == nil {
			a.in.seq = seq // one of the seeds
		}
	})
}

func FuzzAccept(f *testing.F) {
	r := newRealm(18)
	i, _ := NewInitiator(ticket(f, r), now)
	first, _ := i.Token()
	f.Add(first)
	f.Fuzz(func(t *testing.T, token []byte) { r.Acceptor(service).Accept(token, now) })
}

func FuzzFinish(f *testing.F) {
	r := newRealm(18)
	i, _ := NewInitiator(ticket(f, r), now)
	first, _ := i.Token()
	answer, _ := r.Acceptor(service).Accept(first, now)
	f.Add(answer)
	f.Add(first)
	f.Fuzz(func(t *testing.T, token []byte) {
		i.Finish(token)
		i.sealed = nil
	})
}

func BenchmarkWrap(b *testing.B) {
	for _, sealed := range []bool{true, false} {
		b.Run(fmt.Sprintf("sealed=%v", sealed), func(b *testing.B) {
			i, a := establish(b, 18)
			msg := make([]byte, 64<<10)
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				token, _ := i.Wrap(nil, msg, sealed)
				if _, _, err := a.Unwrap(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

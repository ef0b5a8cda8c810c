package claim

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func sample() *Request {
	r := &Request{Identifier: []byte("identifier"), CSR: []byte("request")}
	for i := range r.Proof {
		r.Proof[i] = byte(i)
	}
	return r
}

func TestFrames(t *testing.T) {
	frame, err := AppendRequest(nil, sample())
	if err != nil {
		t.Fatal(err)
	}
	req, err := ReadRequest(bytes.NewReader(frame))
	if err != nil || !bytes.Equal(req.Identifier, sample().Identifier) || req.Proof != sample().Proof || !bytes.Equal(req.CSR, sample().CSR) {
		t.Errorf("%+v, %v", req, err)
	}
	if want := "5943" + "01" + "000a" + hex.EncodeToString([]byte("identifier")); !strings.HasPrefix(hex.EncodeToString(frame), want) {
		t.Errorf("the frame is %x", frame)
	}
	answer := &Answer{Verdict: Granted, Proof: sample().Proof, Text: []byte("certificate"), Authority: []byte("authority")}
	if frame, err = AppendAnswer(nil, answer); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAnswer(bytes.NewReader(frame))
	if err != nil || got.Verdict != Granted || got.Proof != answer.Proof || !bytes.Equal(got.Text, answer.Text) || !bytes.Equal(got.Authority, answer.Authority) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range frame {
		if _, err := ReadAnswer(bytes.NewReader(frame[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of an answer: %v", n, err)
		}
	}
}

// The largest frames are no larger than is promised, and nothing larger is written or read.
func TestFramesAreBounded(t *testing.T) {
	big := &Request{Identifier: make([]byte, maxIdentifier), CSR: make([]byte, maxCSR)}
	frame, err := AppendRequest(nil, big)
	if err != nil || len(frame) > MaxFrame {
		t.Errorf("%d bytes, %v", len(frame), err)
	}
	answer := &Answer{Text: make([]byte, maxText), Authority: make([]byte, maxAuthority)}
	if frame, err = AppendAnswer(nil, answer); err != nil || len(frame) > MaxFrame {
		t.Errorf("%d bytes, %v", len(frame), err)
	}
	for _, r := range []*Request{
		{Identifier: make([]byte, maxIdentifier+1), CSR: []byte{1}}, {Identifier: []byte{1}, CSR: make([]byte, maxCSR+1)},
		{CSR: []byte{1}}, {Identifier: []byte{1}},
	} {
		if _, err := AppendRequest(nil, r); err == nil {
			t.Errorf("%d and %d bytes were written", len(r.Identifier), len(r.CSR))
		}
	}
	for _, text := range []string{"YJ\x01\x00\x01x", "YC\x02\x00\x01x", "YC\x01\x00\x00", "YC\x01\xff\xff", "GET / HTTP/1.1\r\n"} {
		r := &counter{r: io.MultiReader(strings.NewReader(text), zeroes{})}
		if _, err := ReadRequest(r); !errors.Is(err, ErrFormat) || r.n > 5 {
			t.Errorf("%q: %v after %d bytes", text, err, r.n)
		}
	}
	if _, err := ReadAnswer(io.MultiReader(strings.NewReader("YC\x01\x03"), zeroes{})); !errors.Is(err, ErrFormat) {
		t.Errorf("an unknown verdict: %v", err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// The passwords of both algorithms that Hadoop can be set to are tried.
func TestPasswords(t *testing.T) {
	key, identifier := []byte("a master key"), []byte("an identifier")
	for name, h := range map[string]func(key, data []byte) []byte{
		"HmacSHA1":   func(key, data []byte) []byte { m := hmac.New(sha1.New, key); m.Write(data); return m.Sum(nil) },
		"HmacSHA256": func(key, data []byte) []byte { m := hmac.New(sha256.New, key); m.Write(data); return m.Sum(nil) },
	} {
		password := h(key, identifier)
		req := &Request{Identifier: identifier, CSR: []byte("csr")}
		SignRequest(req, password, Binding{1})
		if got, ok := Judge(key, req, Binding{1}); !ok || !bytes.Equal(got, password) {
			t.Errorf("%s: %x, %v", name, got, ok)
		}
	}
}

// A proof is good for one password, one connection, one side, and what it was made of.
func TestProofs(t *testing.T) {
	key, b := []byte("a master key"), Binding{1, 2, 3}
	fresh := func() *Request {
		r := &Request{Identifier: []byte("identifier"), CSR: []byte("csr")}
		SignRequest(r, passwords(key, r.Identifier)[0], b)
		return r
	}
	if _, ok := Judge(key, fresh(), b); !ok {
		t.Fatal("the control case is refused")
	}
	for name, change := range map[string]func(r *Request) (k []byte, at Binding){
		"another connection": func(*Request) ([]byte, Binding) { return key, Binding{1, 2, 4} },
		"another master key": func(*Request) ([]byte, Binding) { return []byte("another"), b },
		"no master key": func(r *Request) ([]byte, Binding) {
			SignRequest(r, passwords(nil, r.Identifier)[0], b)
			return nil, b
		},
		"another identifier":      func(r *Request) ([]byte, Binding) { r.Identifier[0]++; return key, b },
		"another signing request": func(r *Request) ([]byte, Binding) { r.CSR[0]++; return key, b },
		"no proof":                func(r *Request) ([]byte, Binding) { r.Proof = Proof{}; return key, b },
		"a proof of nothing's password": func(r *Request) ([]byte, Binding) {
			SignRequest(r, nil, b)
			return key, b
		},
		"the master's own proof": func(r *Request) ([]byte, Binding) {
			a := &Answer{Text: r.Identifier, Authority: r.CSR}
			SignAnswer(a, passwords(key, r.Identifier)[0], b)
			r.Proof = a.Proof
			return key, b
		},
	} {
		r := fresh()
		k, at := change(r)
		if _, ok := Judge(k, r, at); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	password := passwords(key, []byte("identifier"))[1]
	answer := func() *Answer {
		a := &Answer{Verdict: Granted, Text: []byte("certificate"), Authority: []byte("authority")}
		SignAnswer(a, password, b)
		return a
	}
	if !answer().Proven(password, b) {
		t.Fatal("the control case is refused")
	}
	for name, change := range map[string]func(a *Answer) ([]byte, Binding){
		"another connection":  func(*Answer) ([]byte, Binding) { return password, Binding{9} },
		"another password":    func(*Answer) ([]byte, Binding) { return []byte("x"), b },
		"another verdict":     func(a *Answer) ([]byte, Binding) { a.Verdict = Refused; return password, b },
		"another certificate": func(a *Answer) ([]byte, Binding) { a.Text[0]++; return password, b },
		"another authority":   func(a *Answer) ([]byte, Binding) { a.Authority[0]++; return password, b },
		"no proof":            func(a *Answer) ([]byte, Binding) { a.Proof = Proof{}; return password, b },
	} {
		a := answer()
		if k, at := change(a); a.Proven(k, at) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What goes into a proof, byte by byte: both sides must agree on it, also those of other
// versions, and no two frames may give the same.
func TestProofOfKnownBytes(t *testing.T) {
	password, b := []byte("password"), Binding{7}
	mac := func(text string) string {
		m := hmac.New(sha256.New, password)
		m.Write([]byte(text))
		return hex.EncodeToString(m.Sum(nil))
	}
	r := &Request{Identifier: []byte("id"), CSR: []byte("csr")}
	SignRequest(r, password, b)
	if want := mac("yarnd session client 1" + string(b[:]) + "\x00\x02id" + "\x00\x03csr"); hex.EncodeToString(r.Proof[:]) != want {
		t.Errorf("the client's proof is %x, want %s", r.Proof, want)
	}
	a := &Answer{Verdict: Later, Text: []byte("text"), Authority: []byte("ca")}
	SignAnswer(a, password, b)
	if want := mac("yarnd session master 1" + string(b[:]) + "\x02" + "\x00\x04text" + "\x00\x02ca"); hex.EncodeToString(a.Proof[:]) != want {
		t.Errorf("the master's proof is %x, want %s", a.Proof, want)
	}
}

func TestIdentifier(t *testing.T) {
	at := yarn.AttemptID{App: yarn.ApplicationID{ClusterTimestamp: 1700000000000, ID: 7}, Attempt: 2}
	encode := func(m *pb.ClientToAMTokenIdentifier) []byte {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	id, err := ParseIdentifier(encode(&pb.ClientToAMTokenIdentifier{AppAttemptId: at.PB(), ClientName: proto.String("bob@EXAMPLE.COM")}))
	if err != nil || id != (Identifier{"application_1700000000000_0007", 2, "bob@EXAMPLE.COM"}) {
		t.Errorf("%+v, %v", id, err)
	}
	for name, data := range map[string][]byte{
		"nothing":    nil,
		"no client":  encode(&pb.ClientToAMTokenIdentifier{AppAttemptId: at.PB()}),
		"no attempt": encode(&pb.ClientToAMTokenIdentifier{ClientName: proto.String("bob")}),
		"no message": []byte("\xff\xff"),
	} {
		if id, err := ParseIdentifier(data); err == nil {
			t.Errorf("%s: %+v", name, id)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	frame, err := AppendRequest(nil, sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add([]byte("YC\x01\x04\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &counter{r: bytes.NewReader(data)}
		req, err := ReadRequest(r)
		if r.n > MaxFrame {
			t.Errorf("read %d bytes", r.n)
		}
		if err != nil {
			return
		}
		if _, ok := Judge([]byte("a master key"), req, Binding{}); ok {
			t.Error("a proof was guessed")
		}
		again, err := AppendRequest(nil, req)
		if err != nil || !bytes.HasPrefix(data, again) {
			t.Errorf("%x came back as %x, %v", data, again, err)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	for _, a := range []*Answer{{Verdict: Refused, Text: []byte("no")}, {Text: []byte("certificate"), Authority: []byte("authority")}} {
		frame, err := AppendAnswer(nil, a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &counter{r: bytes.NewReader(data)}
		a, err := ReadAnswer(r)
		if r.n > MaxFrame {
			t.Errorf("read %d bytes", r.n)
		}
		if err != nil {
			return
		}
		if a.Proven([]byte("a password"), Binding{}) {
			t.Error("a proof was guessed")
		}
		again, err := AppendAnswer(nil, a)
		if err != nil || !bytes.HasPrefix(data, again) {
			t.Errorf("%x came back as %x, %v", data, again, err)
		}
	})
}

func FuzzParseIdentifier(f *testing.F) {
	f.Add([]byte("\x0a\x0e\x0a\x0a\x08\x07\x10\x80\xd0\x95\xff\xbc\x31\x10\x02\x12\x03bob"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if id, err := ParseIdentifier(data); err == nil && (id.App == "" || id.Client == "") {
			t.Errorf("%x is %+v", data, id)
		}
	})
}

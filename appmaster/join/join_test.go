package join

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func anyone(string, []byte) error { return nil }

func sample() *Request {
	r := &Request{Container: "container_e17_1700000000000_0001_01_000002", CSR: []byte("signing request")}
	for i := range r.Token {
		r.Token[i] = byte(i)
	}
	return r
}

func TestRequest(t *testing.T) {
	frame, err := AppendRequest(nil, sample())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadRequest(bytes.NewReader(frame), anyone)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(frame) {
		if _, err := ReadRequest(bytes.NewReader(frame[:n]), anyone); err == nil {
			t.Errorf("%d bytes of %d were enough", n, len(frame))
		}
	}
	largest := &Request{Container: strings.Repeat("c", maxID), CSR: make([]byte, maxCSR)}
	if frame, err := AppendRequest(nil, largest); err != nil || len(frame) > MaxFrame {
		t.Errorf("the largest frame has %d bytes, %v", len(frame), err)
	}
	for _, bad := range []*Request{{CSR: []byte{1}}, {Container: "c"}, {Container: strings.Repeat("c", maxID+1), CSR: []byte{1}}, {Container: "c", CSR: make([]byte, maxCSR+1)}} {
		if _, err := AppendRequest(nil, bad); err == nil {
			t.Errorf("a frame of %d and %d bytes was made", len(bad.Container), len(bad.CSR))
		}
	}
}

// A stranger's signing request is not even read.
func TestStrangersAreNotListenedTo(t *testing.T) {
	frame, err := AppendRequest(nil, sample())
	if err != nil {
		t.Fatal(err)
	}
	stranger := errors.New("who is that")
	r := bytes.NewReader(frame)
	_, err = ReadRequest(r, func(id string, token []byte) error {
		if id != sample().Container || len(token) != 32 || token[31] != 31 {
			t.Errorf("%q, %d", id, token)
		}
		return stranger
	})
	if !errors.Is(err, stranger) || r.Len() != len("signing request") {
		t.Errorf("%v, %d bytes unread", err, r.Len())
	}
}

func TestAnswer(t *testing.T) {
	for _, a := range []Answer{{Granted, []byte("certificate")}, {Refused, []byte("unknown")}, {Later, []byte{}}} {
		frame, err := AppendAnswer(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadAnswer(bytes.NewReader(frame)); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v, %v", got, err)
		}
		for n := range len(frame) {
			if _, err := ReadAnswer(bytes.NewReader(frame[:n])); err == nil {
				t.Errorf("%d bytes of %d were enough", n, len(frame))
			}
		}
	}
	if frame, err := AppendAnswer(nil, Answer{Refused, make([]byte, 1<<20)}); err != nil || len(frame) > MaxFrame {
		t.Errorf("%d, %v", len(frame), err)
	}
	if _, err := AppendAnswer(nil, Answer{Granted, make([]byte, maxAnswer+1)}); err == nil {
		t.Error("half a certificate was sent")
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "YJ\x02\x05hello", "YJ\x01\x00"} {
		if _, err := ReadRequest(strings.NewReader(text), anyone); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := ReadAnswer(strings.NewReader(text + "      ")); err == nil {
			t.Errorf("%q was taken for an answer", text)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	frame, err := AppendRequest(nil, sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add([]byte("YJ\x01\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &counter{r: bytes.NewReader(data)}
		req, err := ReadRequest(r, anyone)
		if r.n > MaxFrame {
			t.Errorf("read %d bytes", r.n)
		}
		if err != nil {
			return
		}
		again, err := AppendRequest(nil, req)
		if err != nil || !bytes.HasPrefix(data, again) {
			t.Errorf("%x came back as %x, %v", data, again, err)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	frame, err := AppendAnswer(nil, Answer{Refused, []byte("no")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ReadAnswer(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := AppendAnswer(nil, a)
		if err != nil || !bytes.HasPrefix(data, again) {
			t.Errorf("%x came back as %x, %v", data, again, err)
		}
	})
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

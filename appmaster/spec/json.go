package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Duration is a time.Duration that is written as text, such as "1h30m".
type Duration time.Duration

// MarshalText writes the duration as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// VersionError tells that a document was written by another version of this
// program, one that this program cannot read.
type VersionError struct{ Got int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("application spec: version %d cannot be read, this program knows %d; use the program that submitted the application", e.Got, Version)
}

// Encode returns the application as JSON, after checking it.
func (a *Application) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return encode(a)
}

// Decode reads and checks an application. Errors are *VersionError,
// *InvalidError, or say what is wrong with the JSON.
func Decode(data []byte) (*Application, error) {
	var a Application
	if err := decode(data, &a); err != nil {
		return nil, err
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return &a, nil
}

// Encode returns the launch data as JSON, after checking it.
func (l *Launch) Encode() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return encode(l)
}

// DecodeLaunch reads and checks launch data.
func DecodeLaunch(data []byte) (*Launch, error) {
	var l Launch
	if err := decode(data, &l); err != nil {
		return nil, err
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return &l, nil
}

// Encode returns the address as JSON.
func (a *Address) Encode() ([]byte, error) { return encode(a) }

// DecodeAddress reads an address.
func DecodeAddress(data []byte) (*Address, error) {
	var a Address
	if err := decode(data, &a); err != nil {
		return nil, err
	}
	if len(a.AM) == 0 {
		return nil, invalid("has no address", "am")
	}
	return &a, nil
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("application spec: %w", err)
	}
	if out.Len() > maxDocument {
		return nil, fmt.Errorf("application spec: %d bytes are too many (at most %d)", out.Len(), maxDocument)
	}
	return out.Bytes(), nil
}

// decode looks at the version before anything else: what a later version means by
// a field is not ours to guess.
func decode(data []byte, v any) error {
	if len(data) > maxDocument {
		return fmt.Errorf("application spec: %d bytes are too many (at most %d)", len(data), maxDocument)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("application spec: %w", err)
	}
	if head.Version != Version {
		return &VersionError{head.Version}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("application spec: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("application spec: there is more after its end")
	}
	return nil
}

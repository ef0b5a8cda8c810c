package config

import "fmt"

// Error tells what is wrong with a source of settings.
type Error struct {
	Origin Origin
	What   string // without a full stop
	Next   string // one sentence
}

func (e *Error) Error() string { return e.Problem() + ". " + e.Next }

// Problem says where and what, without what to do about it.
func (e *Error) Problem() string {
	if at := e.Origin.String(); at != "" {
		return at + ": " + e.What
	}
	return e.What
}

func unknown(o Origin, key string) error {
	next := "See yarnd config view for the keys that there are"
	if near := Nearest(key); near != "" {
		next = fmt.Sprintf("Did you mean %s?", near)
	}
	return &Error{Origin: o, What: fmt.Sprintf("unknown key %q", key), Next: next}
}

// wrong says that a value is not what the setting takes. What was found is shown
// only where it cannot be a secret.
func wrong(s *Setting, o Origin, got string, err error) error {
	e := &Error{Origin: o, What: fmt.Sprintf("%s is %s", s.Key, got), Next: fmt.Sprintf("%s must be %s", s.Key, s.Kind.Want)}
	if err != nil && err != errWant {
		e.What = fmt.Sprintf("%s: %v", s.Key, err)
	}
	return e
}

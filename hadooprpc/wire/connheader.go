package wire

import (
	"errors"
	"fmt"
)

// Version is the only version of Hadoop IPC since Hadoop 2.0.
const Version = 9

// ConnHeaderLen is the size in bytes of what opens a connection.
const ConnHeaderLen = 7

// Auth says what follows the connection header. Source: org.apache.hadoop.ipc.Server.AuthProtocol (3.4.2).
type Auth byte

const (
	// AuthNone goes straight to the connection context: the server believes the user's name.
	AuthNone Auth = 0x00
	// AuthSASL starts a SASL exchange.
	AuthSASL Auth = 0xDF
)

func (a Auth) String() string {
	switch a {
	case AuthNone:
		return "NONE"
	case AuthSASL:
		return "SASL"
	}
	return fmt.Sprintf("Auth(%#02x)", byte(a))
}

// ConnHeader opens a connection.
type ConnHeader struct {
	// ServiceClass is a quality-of-service hint that servers ignore; 0 is the default class.
	ServiceClass byte
	Auth         Auth
}

// ErrNotHadoop tells that a connection did not open with "hrpc".
var ErrNotHadoop = errors.New("not Hadoop RPC: connection does not open with \"hrpc\"")

// AppendConnHeader appends the seven bytes of h.
func AppendConnHeader(dst []byte, h ConnHeader) []byte {
	return append(dst, 'h', 'r', 'p', 'c', Version, h.ServiceClass, byte(h.Auth))
}

// ParseConnHeader reads the seven bytes that open a connection. It returns ErrNotHadoop for another protocol and
// a *VersionError for another version.
func ParseConnHeader(b []byte) (ConnHeader, error) {
	if len(b) != ConnHeaderLen || string(b[:4]) != "hrpc" {
		return ConnHeader{}, ErrNotHadoop
	}
	if b[4] != Version {
		return ConnHeader{}, &VersionError{Got: b[4]}
	}
	return ConnHeader{ServiceClass: b[5], Auth: Auth(b[6])}, nil
}

// VersionError tells that the peer speaks another version of Hadoop IPC.
type VersionError struct{ Got byte }

func (e *VersionError) Error() string {
	return fmt.Sprintf("peer speaks version %d of Hadoop IPC, only %d is known", e.Got, Version)
}

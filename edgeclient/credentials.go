package edgeclient

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/yarnd/yarnd/identity"
)

// CredentialsVar names the credentials file of clusters that are started by hand.
const CredentialsVar = "YARND_CREDENTIALS"

// maxCredentials bounds the file, in bytes.
const maxCredentials = 4 << 10

// Credentials are what all processes of a cluster share that was started by hand:
// whoever has them can be its scheduler, a worker, or a client.
//
//	# yarnd …                    lines of comment
//	cluster hand_0123456789abcdef
//	seed 64 hexadecimal digits
type Credentials struct {
	Cluster string // the id in certificates
	ca      *identity.CA
}

// CredentialsPath is the file that is meant: the path given, $YARND_CREDENTIALS, or
// "credentials" where yarnd keeps what belongs to this user.
func CredentialsPath(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if path := os.Getenv(CredentialsVar); path != "" {
		return path, nil
	}
	dir, err := StateDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "credentials"), nil
}

// MakeCredentials writes new credentials into an owner-only file, unless there is a
// file already, which stays as it is; a link to nothing is a Usage fault.
func MakeCredentials(path string) (made bool, err error) {
	what := "cannot make the credentials " + path
	if _, err := os.Lstat(path); err == nil {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return false, usagef("Remove the link, or name another file with --credentials", "%s: it is a link to nothing", what)
		}
		return false, nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, wrap(Usage, what, err, "Name another file with --credentials")
	}
	f, err := os.CreateTemp(dir, ".credentials-") // mode 0600
	if err != nil {
		return false, wrap(Usage, what, err, "Name another file with --credentials")
	}
	defer os.Remove(f.Name())
	name := make([]byte, 8)
	rand.Read(name)
	_, err = fmt.Fprintf(f, "# yarnd: whoever can read this file can run and use the cluster.\ncluster hand_%x\nseed %s", name, identity.NewSeed().Encode())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path) // two that start at once get the same
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, wrap(Internal, what, err, "Check the disk")
}

// ReadCredentials reads the file at path. Others than its owner must not be able to
// read it: that is an Auth fault, as is a file that is not whole.
func ReadCredentials(path string) (*Credentials, error) {
	what := "cannot use the credentials " + path
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO shall not hold us
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Fault{Code: NotFound, What: what, Why: fs.ErrNotExist,
			Next: "Copy the file that yarnd scheduler has made on its host, and name it with --credentials or " + CredentialsVar}
	case err != nil:
		return nil, &Fault{Code: Auth, What: what, Why: err, Next: "Run as the file's owner, or name another with --credentials"}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, &Fault{Code: Auth, What: what, Why: err, Next: "Name another file with --credentials"}
	}
	if !st.Mode().IsRegular() {
		return nil, usagef("Name a file with --credentials", "%s: it is no regular file", what)
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return nil, &Fault{Code: Auth, What: fmt.Sprintf("%s: others can read or change it (mode %04o)", what, mode),
			Next: "Run chmod 600 " + path + "; if it lay open to strangers, remove it everywhere and have yarnd scheduler make another"}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCredentials+1))
	if err == nil {
		var c *Credentials
		if c, err = parseCredentials(text); err == nil {
			return c, nil
		}
	}
	return nil, &Fault{Code: Auth, What: what, Why: err, Next: "Copy it again from the scheduler's host"}
}

// parseCredentials reads a file's text. Its errors do not quote it.
func parseCredentials(text []byte) (*Credentials, error) {
	if len(text) > maxCredentials {
		return nil, fmt.Errorf("it has more than %d bytes", maxCredentials)
	}
	values := map[string]string{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch {
		case key == "" || strings.HasPrefix(key, "#"):
		case key != "cluster" && key != "seed":
			return nil, fmt.Errorf("line %d says neither cluster nor seed", n)
		case values[key] != "":
			return nil, fmt.Errorf("line %d says %s again", n, key)
		default:
			values[key] = strings.TrimSpace(value)
		}
	}
	seed, err := identity.ParseSeed([]byte(values["seed"]))
	if err != nil {
		return nil, err
	}
	if _, err := hex.DecodeString(strings.TrimPrefix(values["cluster"], "hand_")); err != nil || !strings.HasPrefix(values["cluster"], "hand_") {
		return nil, errors.New("it names no cluster")
	}
	ca, err := identity.NewCA(seed, values["cluster"])
	if err != nil {
		return nil, err
	}
	return &Credentials{Cluster: ca.App(), ca: ca}, nil
}

// Identity makes a certificate for a process of the cluster. Who holds the credentials
// can make another at any time, so this one lives as long as any.
func (c *Credentials) Identity(role identity.Role, name string) (*identity.Identity, error) {
	return c.ca.NewIdentity(identity.Subject{App: c.Cluster, Role: role, Name: name}, identity.MaxTTL)
}

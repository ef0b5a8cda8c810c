package spec

import "strings"

// Names of the secrets in a container's credentials file.
const (
	SecretLaunch = "yarnd.launch" // a Launch as JSON
	SecretJoin   = "yarnd.join"   // the join token: JoinTokenSize random-looking bytes
)

// JoinTokenSize is the length of a join token in bytes.
const JoinTokenSize = 32

// Launch is what one container's process is told at its start. It holds no
// secret, but it travels beside one.
type Launch struct {
	Version   int    `json:"version"`
	App       string `json:"app"`
	User      string `json:"user"`
	Role      Role   `json:"role"`
	Pool      string `json:"pool"`
	Container string `json:"container"`
	Node      string `json:"node"` // host name of the node
	// Epoch grows with each container that the application starts, over all
	// attempts of the application master: of two schedulers, or two incarnations
	// of anything, the one with the higher epoch is the later.
	Epoch    uint64            `json:"epoch"`
	Resource Resource          `json:"resource"`
	AM       []string          `json:"am"` // host:port of the application master
	CA       string            `json:"ca"` // the authority's certificate, PEM
	Staging  string            `json:"staging"`
	Env      map[string]string `json:"env,omitempty"`
	Command  []string          `json:"command,omitempty"` // of a driver
	Listen   Listen            `json:"listen,omitzero"`
	// KeepResults is as in Application, for a scheduler.
	KeepResults Duration `json:"keepResults,omitempty"`
	// NoJournal has a scheduler keep no journal.
	NoJournal bool `json:"noJournal,omitempty"`
}

// Validate returns an *InvalidError when something is wrong with the launch data.
func (l *Launch) Validate() error {
	switch {
	case l.Version != Version:
		return invalid("is another one than this program's", "launch.version")
	case !idPattern.MatchString(l.App):
		return invalid("is no application id", "launch.app")
	case l.Role != RoleScheduler && l.Role != RoleWorker && l.Role != RoleDriver:
		return invalid("is no role of a container", "launch.role")
	case !poolPattern.MatchString(l.Pool):
		return invalid("is no pool", "launch.pool")
	case l.Container == "" || !text(l.Container):
		return invalid("is no container id", "launch.container")
	case len(l.AM) == 0:
		return invalid("has no address", "launch.am")
	case !strings.Contains(l.CA, "CERTIFICATE"):
		return invalid("has no certificate", "launch.ca")
	}
	if err := l.Listen.validate(); err != nil {
		return err
	}
	if err := validateCommand(l.Role, l.Command, "launch"); err != nil {
		return err
	}
	return validateEnv(l.Env, "launch.env")
}

// Address is what an attempt of the application master writes beside the spec, so
// that processes and clients of an earlier attempt find it.
type Address struct {
	Version int      `json:"version"`
	Attempt int      `json:"attempt"`
	AM      []string `json:"am"`            // host:port of the gRPC and join listener
	Web     string   `json:"web,omitempty"` // URL of the page
	PID     int      `json:"pid,omitempty"` // on the local provider
}

// Names of files in the staging directory.
const (
	SpecFile    = "spec.json"
	SeedFile    = "seed"
	ClientFile  = "client.pem" // the owner's client credential
	KeytabFile  = "keytab"     // the owner's keys on a cluster with Kerberos, if he gave them: the application master's alone
	AddressFile = "am.json"    // an Address, replaced by each attempt
)

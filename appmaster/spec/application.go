package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Version is the version of the documents that this package writes, and the
// latest that it reads.
const Version = 1

// Application describes an application. It is written once, by the client that
// submits, as spec.json in the staging directory.
type Application struct {
	Version int    `json:"version"`
	ID      string `json:"id"`   // application_…, or local_… on the local provider
	Name    string `json:"name"` // for people
	User    string `json:"user"` // the owner

	Pools []Pool `json:"pools"` // in order of importance: the first is asked for first

	// Staging is the URL of the application's owner-only directory.
	Staging string `json:"staging"`

	// IdleTimeout ends the application, successfully, when for so long no client
	// is there and nothing runs or waits. 0 means never.
	IdleTimeout Duration `json:"idleTimeout,omitempty"`

	// MaxAttempts is how many attempts of the application master the submission
	// asked for; the cluster may allow fewer. 0 means the cluster's default.
	MaxAttempts int `json:"maxAttempts,omitempty"`

	// KeepResults is for how long a job of a name is there that nobody uses; 0 is the
	// scheduler's default, below 0 is for ever.
	KeepResults Duration `json:"keepResults,omitempty"`

	// NoJournal has the scheduler keep no journal: with its process all jobs are lost.
	NoJournal bool `json:"noJournal,omitempty"`

	Listen Listen `json:"listen,omitzero"`

	// Keytab is the principal whose keys the application master, and nobody else, has in
	// the file KeytabFile: it gets new tokens by them. "" is none.
	Keytab string `json:"keytab,omitempty"`

	// Env is set by the application master's process itself, before it does anything
	// else: no shell sees the values.
	Env map[string]string `json:"env,omitempty"`

	// FileSystems are URLs of those that tasks use beside that of Staging: there are
	// delegation tokens for them.
	FileSystems []string `json:"fileSystems,omitempty"`

	Access Access `json:"access,omitzero"`
}

// AsksTheCluster tells whether something of the application is a client of the cluster, as its owner's commands are: a
// driver, and an application master that has the nodes listed for a pool with a bound for each.
func (a *Application) AsksTheCluster() bool {
	return slices.ContainsFunc(a.Pools, func(p Pool) bool { return p.Role == RoleDriver || p.MaxPerNode > 0 })
}

// Listen says where the application's processes listen. The zero value means any
// free port on the address of the container's host name.
type Listen struct {
	// Host is the address to listen on, an IP address or host name of the node.
	// It makes sense where all nodes share it (127.0.0.1 on the local provider).
	Host string `json:"host,omitempty"`
	// Interface is the network interface whose first address is used, for nodes
	// that have several: its name, or a network (10.1.0.0/16) that it is on. At most
	// one of Host and Interface is set.
	Interface string `json:"interface,omitempty"`
	// PortMin to PortMax, both included, are the ports that a firewall lets
	// through; 0 and 0 means any.
	PortMin int `json:"portMin,omitempty"`
	PortMax int `json:"portMax,omitempty"`
}

// Role is what a pool's processes do. It is spelled as in certificates.
type Role string

// The roles that containers of a pool can have.
const (
	RoleScheduler Role = "scheduler"
	RoleWorker    Role = "worker"
	RoleDriver    Role = "driver" // runs the owner's program; the application ends with it
)

// Pool describes a set of containers alike.
type Pool struct {
	Name  string `json:"name"` // lower-case letters, digits, "-"
	Role  Role   `json:"role"`
	Count int    `json:"count"` // how many to begin with; 0 is fine

	// Adapt has the pool scale by itself, from Count on; nil: it is as large as a person
	// says. For RoleWorker alone.
	Adapt *Limits `json:"adapt,omitempty"`

	// Args replaces the command's first argument, which is the role. Each may
	// hold letters, digits and _ . / : = , @ % + - only.
	Args []string `json:"args,omitempty"`

	// Command is what a driver runs, without any shell: for RoleDriver alone. It is
	// told to the container's process, and so may hold anything.
	Command []string `json:"command,omitempty"`

	Resource Resource `json:"resource"`

	// Files are put into each container's working directory. One of them is the
	// program, with the name "yarnd".
	Files []File `json:"files"`

	// Env is set by the container's process itself, before it does anything
	// else: no shell sees the values.
	Env map[string]string `json:"env,omitempty"`

	// MaxRestarts bounds the rounds of consecutive failures: when so many rounds
	// of replacements have failed and no container of the pool is well, the
	// application fails. 0 means DefaultMaxRestarts, -1 no bound.
	MaxRestarts int `json:"maxRestarts,omitempty"`

	// HealthyAfter is how long a container has to run to count as well, which
	// ends a series of failures. 0 means DefaultHealthyAfter.
	HealthyAfter Duration `json:"healthyAfter,omitempty"`

	// NodeLabel is the node label expression to ask with; "" is the queue's default.
	NodeLabel string `json:"nodeLabel,omitempty"`

	// Opportunistic asks for containers that begin in what others do not use, and end
	// when a node needs the room. For RoleWorker alone, and without a node label or
	// named resources, by which YARN does not place them.
	Opportunistic bool `json:"opportunistic,omitempty"`

	// MaxPerNode is how many containers of the pool there may be on a node at a time; 0 is any
	// number. What does not fit waits. For RoleWorker alone, and not with Opportunistic, whose
	// nodes YARN chooses by itself.
	MaxPerNode int `json:"maxPerNode,omitempty"`
}

// Limits are those between which a pool scales by itself.
type Limits struct {
	Min int `json:"min"`
	Max int `json:"max"`
	// Idle is how long fewer must have been enough before one goes; 0 is the default.
	Idle Duration `json:"idle,omitempty"`
}

// Validate returns an error that tells what is wrong with the limits.
func (l *Limits) Validate() error {
	switch {
	case l.Min < 0 || l.Max > maxCount:
		return fmt.Errorf("must be 0 to %d", maxCount)
	case l.Min > l.Max:
		return fmt.Errorf("have a minimum of %d above the maximum of %d", l.Min, l.Max)
	case l.Idle < 0:
		return errors.New("have a negative idle time")
	}
	return nil
}

// Clamp returns n, or the limit that it is beyond.
func (l *Limits) Clamp(n int) int { return min(max(n, l.Min), l.Max) }

// Defaults of a pool.
const (
	DefaultMaxRestarts  = 3
	DefaultHealthyAfter = 30 * time.Second
)

// Restarts returns MaxRestarts with the default applied; negative means no bound.
func (p *Pool) Restarts() int {
	if p.MaxRestarts == 0 {
		return DefaultMaxRestarts
	}
	return p.MaxRestarts
}

// Healthy returns HealthyAfter with the default applied.
func (p *Pool) Healthy() time.Duration {
	if p.HealthyAfter == 0 {
		return DefaultHealthyAfter
	}
	return time.Duration(p.HealthyAfter)
}

// Resource is the size of one container.
type Resource struct {
	VCores    int              `json:"vcores"`
	MemoryMiB int64            `json:"memoryMiB"`
	Named     map[string]int64 `json:"named,omitempty"` // such as yarn.io/gpu
}

// File is one file or archive that a container finds in its working directory.
type File struct {
	Name string `json:"name"` // in the working directory; for an archive a directory
	URL  string `json:"url"`
	// Size in bytes and ModTime in milliseconds since 1970 are what the file
	// system said after the upload; a node refuses a file that has changed since.
	Size       int64      `json:"size"`
	ModTime    int64      `json:"modTime"`
	Archive    bool       `json:"archive,omitempty"` // to be unpacked
	Visibility Visibility `json:"visibility"`
}

// Visibility says who shares a node's local copy of a file.
type Visibility string

// The visibilities, as YARN has them.
const (
	Public          Visibility = "public"      // all users; needs a world-readable path
	Private         Visibility = "private"     // all applications of the user
	ApplicationOnly Visibility = "application" // this application
)

// ProgramName is the name under which every container finds the program.
const ProgramName = "yarnd"

// Program returns the argument vector of the pool's processes, without any shell.
func (p *Pool) Program() []string {
	if len(p.Args) == 0 {
		return []string{"./" + ProgramName, string(p.Role)}
	}
	return append([]string{"./" + ProgramName}, p.Args...)
}

// CommandLine returns the pool's command as YARN wants it: one line for a shell,
// with YARN's own placeholder for the log directory.
func (p *Pool) CommandLine() string {
	return strings.Join(p.Program(), " ") + " 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"
}

// Pool returns the pool of a name, or nil.
func (a *Application) Pool(name string) *Pool {
	for i := range a.Pools {
		if a.Pools[i].Name == name {
			return &a.Pools[i]
		}
	}
	return nil
}

// MaxCommand is the most words of a driver's command.
const MaxCommand = 1024

// Bounds. They keep a slip of the pen from becoming a flood, and what is read from
// a file from taking memory without end.
const (
	maxDocument = 4 << 20 // bytes of JSON
	maxPools    = 64
	maxCount    = 100_000
	maxFiles    = 1024
	maxEnv      = 1024
	maxText     = 4096 // any single string
	maxArg      = 128 << 10
)

var (
	idPattern      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	poolPattern    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	argPattern     = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]{1,256}$`)
	envPattern     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	linkPattern    = regexp.MustCompile(`^[A-Za-z0-9_.+@-]{1,255}$`)
	urlPattern     = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/]*/`)
	namedPattern   = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,128}$`)
	labelPattern   = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,255}$`)
	netNamePattern = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,255}$`)
)

// InvalidError tells which part of a document is wrong, and how.
type InvalidError struct {
	Field string // such as pools[1].count
	Why   string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("application spec: %s %s", e.Field, e.Why)
}

func invalid(why string, field string, args ...any) error {
	return &InvalidError{Field: fmt.Sprintf(field, args...), Why: why}
}

// Validate returns an *InvalidError when something is wrong with the application.
func (a *Application) Validate() error {
	switch {
	case a.Version != Version:
		return invalid(fmt.Sprintf("is %d, this program writes %d", a.Version, Version), "version")
	case !idPattern.MatchString(a.ID):
		return invalid("is no application id", "id")
	case !text(a.Name):
		return invalid("must be a line of text", "name")
	case a.User == "" || !text(a.User):
		return invalid("must be the name of a user", "user")
	case !urlPattern.MatchString(a.Staging) || !text(a.Staging):
		return invalid("must be a URL with a path", "staging")
	case len(a.FileSystems) > maxPools:
		return invalid(fmt.Sprintf("must be %d at the most", maxPools), "fileSystems")
	case slices.ContainsFunc(a.FileSystems, func(u string) bool { return !text(u) }):
		return invalid("must be URLs", "fileSystems")
	case !text(a.Keytab):
		return invalid("must be a principal", "keytab")
	case len(a.Env) > maxEnv:
		return invalid(fmt.Sprintf("must be at most %d", maxEnv), "env")
	case a.IdleTimeout < 0:
		return invalid("must not be negative", "idleTimeout")
	case a.MaxAttempts < 0:
		return invalid("must not be negative", "maxAttempts")
	case len(a.Pools) == 0 || len(a.Pools) > maxPools:
		return invalid(fmt.Sprintf("must be 1 to %d", maxPools), "pools")
	}
	if err := validateEnv(a.Env, "env"); err != nil {
		return err
	}
	if err := a.Listen.validate(); err != nil {
		return err
	}
	if err := a.Access.validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range a.Pools {
		p := &a.Pools[i]
		if seen[p.Name] {
			return invalid(fmt.Sprintf("%q is there twice", p.Name), "pools[%d].name", i)
		}
		seen[p.Name] = true
		if err := p.validate(fmt.Sprintf("pools[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Listen) validate() error {
	switch {
	case l.Host != "" && l.Interface != "":
		return invalid("is set together with listen.host", "listen.interface")
	case l.Host != "" && !netNamePattern.MatchString(l.Host):
		return invalid("is no address", "listen.host")
	case l.Interface != "" && !netNamePattern.MatchString(l.Interface) && !isNetwork(l.Interface):
		return invalid("is no interface", "listen.interface")
	case l.PortMin < 0 || l.PortMax > 65535 || l.PortMin > l.PortMax || (l.PortMin == 0) != (l.PortMax == 0):
		return invalid("must be two ports in order, or none", "listen.portMin and portMax")
	}
	return nil
}

func isNetwork(s string) bool {
	_, err := netip.ParsePrefix(s)
	return err == nil
}

func (p *Pool) validate(at string) error {
	switch {
	case !poolPattern.MatchString(p.Name):
		return invalid("must be lower-case letters, digits and -", "%s.name", at)
	case p.Role != RoleScheduler && p.Role != RoleWorker && p.Role != RoleDriver:
		return invalid(fmt.Sprintf("%q is no role of a pool", p.Role), "%s.role", at)
	case p.Count < 0 || p.Count > maxCount:
		return invalid(fmt.Sprintf("must be 0 to %d", maxCount), "%s.count", at)
	case p.Role == RoleScheduler && p.Count > 1:
		return invalid("must be 1: there is one scheduler", "%s.count", at)
	case p.Role == RoleDriver && p.Count > 1:
		return invalid("must be 1: there is one driver", "%s.count", at)
	case p.Adapt != nil && p.Role != RoleWorker:
		return invalid("is for workers alone", "%s.adapt", at)
	case p.Adapt != nil && p.Adapt.Validate() != nil:
		return invalid(p.Adapt.Validate().Error(), "%s.adapt", at)
	case p.Adapt != nil && p.Adapt.Clamp(p.Count) != p.Count:
		return invalid("is outside of the limits", "%s.count", at)
	case p.Resource.VCores < 1:
		return invalid("must be at least 1", "%s.resource.vcores", at)
	case p.Resource.MemoryMiB < 1:
		return invalid("must be at least 1", "%s.resource.memoryMiB", at)
	case p.MaxRestarts < -1:
		return invalid("must be -1 or more", "%s.maxRestarts", at)
	case p.HealthyAfter < 0:
		return invalid("must not be negative", "%s.healthyAfter", at)
	case !labelPattern.MatchString(p.NodeLabel):
		return invalid("is no node label", "%s.nodeLabel", at)
	case p.Opportunistic && (p.Role != RoleWorker || p.NodeLabel != "" || len(p.Resource.Named) > 0):
		return invalid("is for workers without node label and named resources", "%s.opportunistic", at)
	case p.MaxPerNode < 0 || p.MaxPerNode > maxCount:
		return invalid(fmt.Sprintf("must be 0 to %d", maxCount), "%s.maxPerNode", at)
	case p.MaxPerNode > 0 && (p.Role != RoleWorker || p.Opportunistic):
		return invalid("is for workers that are not opportunistic", "%s.maxPerNode", at)
	case len(p.Files) > maxFiles:
		return invalid(fmt.Sprintf("must be at most %d", maxFiles), "%s.files", at)
	case len(p.Env) > maxEnv:
		return invalid(fmt.Sprintf("must be at most %d", maxEnv), "%s.env", at)
	}
	for name, n := range p.Resource.Named {
		if !namedPattern.MatchString(name) || n < 1 {
			return invalid(fmt.Sprintf("%q: %d is no amount of a resource", name, n), "%s.resource.named", at)
		}
	}
	for i, arg := range p.Args {
		if !argPattern.MatchString(arg) {
			return invalid(fmt.Sprintf("%q could mean something to a shell", arg), "%s.args[%d]", at, i)
		}
	}
	if err := validateEnv(p.Env, at+".env"); err != nil {
		return err
	}
	if err := validateCommand(p.Role, p.Command, at); err != nil {
		return err
	}
	return p.validateFiles(at)
}

func validateEnv(env map[string]string, field string) error {
	for key, value := range env {
		switch {
		case !envPattern.MatchString(key) || len(key) > maxText:
			return invalid(fmt.Sprintf("%q is no name of a variable", key), "%s", field)
		case strings.ContainsRune(value, 0) || len(value) > 128<<10:
			return invalid("has a value that no process can be given", "%s[%s]", field, key)
		}
	}
	return nil
}

func validateCommand(r Role, command []string, at string) error {
	if (r == RoleDriver) != (len(command) > 0) || len(command) > MaxCommand {
		return invalid(fmt.Sprintf("must be 1 to %d words for a driver, none for others", MaxCommand), "%s.command", at)
	}
	for _, word := range command {
		if strings.ContainsRune(word, 0) || len(word) > maxArg {
			return invalid("has a word that no process can be given", "%s.command", at)
		}
	}
	return nil
}

func (p *Pool) validateFiles(at string) error {
	var names []string
	for i := range p.Files {
		f := &p.Files[i]
		switch {
		case !linkPattern.MatchString(f.Name) || f.Name != path.Base(f.Name) || f.Name == "." || f.Name == "..":
			return invalid(fmt.Sprintf("%q is no plain file name", f.Name), "%s.files[%d].name", at, i)
		case slices.Contains(names, f.Name):
			return invalid(fmt.Sprintf("%q is there twice", f.Name), "%s.files[%d].name", at, i)
		case !urlPattern.MatchString(f.URL) || !text(f.URL):
			return invalid("must be a URL with a path", "%s.files[%d].url", at, i)
		case f.Size < 0:
			return invalid("must not be negative", "%s.files[%d].size", at, i)
		case f.ModTime < 0:
			return invalid("must not be negative", "%s.files[%d].modTime", at, i)
		case f.Visibility != Public && f.Visibility != Private && f.Visibility != ApplicationOnly:
			return invalid(fmt.Sprintf("%q is none of public, private, application", f.Visibility), "%s.files[%d].visibility", at, i)
		}
		names = append(names, f.Name)
	}
	if !slices.Contains(names, ProgramName) {
		return invalid(fmt.Sprintf("have no %q, the program itself", ProgramName), "%s.files", at)
	}
	return nil
}

// text tells whether s is one line of text of bearable length.
func text(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

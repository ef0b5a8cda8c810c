package edgeclient

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/yarnd/yarnd/edgeclient/config"
)

// MiB is the unit in which YARN counts memory.
const MiB = config.MiB

// Resources of one container.
type Resources struct {
	VCores int   // virtual cores
	Memory int64 // bytes, given to YARN in MiB, rounded up
}

// Request is what a person asks for with submit. The zero value asks for an
// application without workers, with every default.
type Request struct {
	Workers int
	Adapt   Limits    // the zero value: as many as Workers says; else it begins with these, as far as the limits let it
	Worker  Resources // default 1 vcore, 1 GiB
	// WorkersPerNode is how many of these workers there may be on a node at a time; what does not fit waits. 0 is any number.
	WorkersPerNode int
	Scheduler      Resources // default 1 vcore, 512 MiB
	AM             Resources // default 1 vcore, 512 MiB
	// Pools are further pools of workers, for tasks that ask for what Worker lacks.
	Pools []PoolRequest

	Bundle   string            // path of the binary to run; "" is the running one
	Env      string            // environment archive, "path[#name]"; its default name is "environment"
	Archives []string          // "path[#name]", unpacked on each worker
	Files    []string          // "path[#name]"
	EnvVars  map[string]string // of workers, scheduler and driver
	// AMEnv are environment variables of the application master, which has no others of the submitter's, nor by YARN's
	// default (yarn.nodemanager.env-whitelist) those of its node: KRB5_CONFIG, say, or SSL_CERT_FILE. Both: no secrets.
	AMEnv map[string]string

	// Driver is the path of a program or script that runs inside the cluster, in a
	// container of its own; the application ends with it, and as it ends. "" is none.
	Driver     string
	DriverArgs []string
	DriverSize Resources // default 1 vcore, 1 GiB

	Name string // default "yarnd"
	// IfNotExists returns the one application of this user and name that has not ended,
	// if there is one, instead of another. It needs a Name. All that ask so at once get
	// the same one, and so does who asks again after a process was killed that did: it
	// goes on where that one was.
	IfNotExists bool
	// IDFile is the path of a file, on this host, that keeps the id: written before the
	// application is submitted, it makes a Submit with the same file give the same
	// application, also after a process was killed in the middle of one. Of an application
	// that has ended that is an error, unless Wait is WaitFinished; the caller removes the
	// file to start another. It holds the id alone once the cluster has the application.
	IDFile    string
	Queue     string // default "default"
	Tags      []string
	Priority  int
	NodeLabel string
	// AMLabel and SchedulerLabel are the labels of the nodes where these two run; "" is
	// NodeLabel.
	AMLabel, SchedulerLabel string
	MaxAttempts             int // of the application master; 0 is the cluster's default
	// AttemptWindow is how long a failure of the application master counts: with N
	// attempts N-1 failures in any such time are survived. Default DefaultAttemptWindow.
	AttemptWindow time.Duration
	IdleTimeout   time.Duration // 0 is never
	// KeepResults is for how long a job of a name, and a published result, is there after it has
	// ended and nobody uses it any more; 0 is DefaultKeepResults, below 0 is as long as the application.
	KeepResults time.Duration
	// NoJournal has the scheduler keep no journal: tasks are acknowledged at once, and with its
	// process all jobs are lost.
	NoJournal bool
	// Restarts is how many rounds of containers of a pool may end soon after they began,
	// one after the other, before the application is given up; 0 is DefaultRestarts, -1 is no bound. What
	// had come up and was killed from outside does not count.
	Restarts int

	// ViewACL and ModifyACL are who, beside the owner, may look at the application, and who may
	// also scale and end it: users and groups as YARN has them, "user1,user2 group1,group2", or
	// "*". Groups count for YARN's own pages alone.
	ViewACL, ModifyACL string
	// SubmitACL are the users, "user1,user2", who may also submit work and read results, which
	// is to run programs as the owner.
	SubmitACL string

	// Wait says how far Submit waits: WaitNone, WaitAccepted (the default),
	// WaitWorkers, or WaitFinished.
	Wait        Wait
	WaitWorkers int

	AllowRatio bool // accept archives that unpack to more than 200 times their size
	// FileSystems are others than the default one that tasks use, by URL: on a cluster with
	// Kerberos the application gets tokens for them.
	FileSystems []string
	Strict      bool // refuse clusters without Kerberos, or on which others can read what is sent

	// Ports are those on which the application's processes may listen; the zero
	// value is any. Interface is the network interface on which they listen, on each
	// node: a name, or a network such as 10.1.0.0/16; "" is every interface.
	Ports     Ports
	Interface string
}

// defaultIdle is how long fewer workers must have been enough before any go.
const defaultIdle = time.Minute

func orDefaultIdle(l *Limits) {
	if l.Idle == 0 {
		l.Idle = defaultIdle
	}
}

// Limits are those between which a cluster scales by itself, with its work.
type Limits struct {
	Min, Max int           // workers; a Max of 0 is: not by itself
	Idle     time.Duration // how long fewer must have been enough before any go; 0 is a minute
}

// String gives limits as flags have them; "" for the zero value.
func (l Limits) String() string {
	if l.Max == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", l.Min, l.Max)
}

// ParseLimits reads limits MIN:MAX.
func ParseLimits(s string) (l Limits, err error) {
	l.Min, l.Max, err = config.ParseLimits(s)
	return l, err
}

func (l Limits) check() error {
	switch _, _, err := config.ParseLimits(fmt.Sprintf("%d:%d", l.Min, l.Max)); {
	case l == Limits{Idle: l.Idle} && l.Idle >= 0:
	case err != nil:
		return usagef("Use --adapt MIN:MAX, such as 0:20", "%v", err)
	case l.Idle < 0:
		return usagef("Leave --adapt-idle away for the default", "a negative idle time has no meaning")
	}
	return nil
}

// first is how many workers there are to begin with, and most how many there can be.
func (r Request) first() (n int) {
	for _, p := range r.workerPools() {
		n += p.first()
	}
	return n
}

func (r Request) most() (n int) {
	for _, p := range r.workerPools() {
		n += p.most()
	}
	return n
}

// Ports is a range of ports, both ends included.
type Ports struct{ Min, Max int }

func (p Ports) String() string {
	if p == (Ports{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", p.Min, p.Max)
}

// defaultName is that of an application that nobody named.
const defaultName = "yarnd"

// DefaultAttemptWindow is how long a failure of the application master counts.
const DefaultAttemptWindow = 10 * time.Minute

// DefaultKeepResults lets somebody who submits in the evening see the results in the next one.
const DefaultKeepResults = 24 * time.Hour

// DefaultRestarts is how many rounds of containers in a row may fail.
const DefaultRestarts = 3

// Wait is how far an application must get before a verb returns.
type Wait string

const (
	WaitNone     Wait = "none"
	WaitAccepted Wait = "accepted"
	WaitRunning  Wait = "running" // its application master has registered
	WaitWorkers  Wait = "workers"
	WaitFinished Wait = "finished"
)

// Limits that hold before any cluster is asked.
const (
	MaxWorkers = config.MaxWorkers
	minMemory  = config.MinMemory
	maxMemory  = config.MaxMemory
	maxVCores  = config.MaxVCores
	maxFiles   = 1000 // spec allows 1024, ours among them
	maxValue   = 128<<10 - 1
)

var (
	queueRule = regexp.MustCompile(config.QueuePattern)
	labelRule = regexp.MustCompile(config.LabelPattern)
	nameRule  = regexp.MustCompile(`^[^\x00-\x1f\x7f]{1,200}$`)
	tagRule   = regexp.MustCompile(`^[\x21-\x7e]{1,100}$`) // YARN: ASCII, at most 100 characters
	varRule   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// WithDefaults returns the request with what was not asked for.
func (r Request) WithDefaults() Request { return r.withDefaults() }

// withDefaults fills in what was not asked for.
func (r Request) withDefaults() Request {
	def := func(res *Resources, memory int64) {
		if res.VCores == 0 {
			res.VCores = 1
		}
		if res.Memory == 0 {
			res.Memory = memory
		}
	}
	def(&r.Worker, 1024*MiB)
	def(&r.Scheduler, 512*MiB)
	def(&r.AM, 512*MiB)
	def(&r.DriverSize, 1024*MiB)
	if r.Name == "" {
		r.Name = defaultName
	}
	if r.Queue == "" {
		r.Queue = "default"
	}
	orDefaultIdle(&r.Adapt)
	r.Pools = r.poolsWithDefaults()
	r.AMLabel, r.SchedulerLabel = cmp.Or(r.AMLabel, r.NodeLabel), cmp.Or(r.SchedulerLabel, r.NodeLabel)
	if r.AttemptWindow == 0 {
		r.AttemptWindow = DefaultAttemptWindow
	}
	if r.KeepResults == 0 {
		r.KeepResults = DefaultKeepResults
	}
	if r.Restarts == 0 {
		r.Restarts = DefaultRestarts
	}
	if r.Wait == "" {
		r.Wait = WaitAccepted
	}
	return r
}

// Check refuses, as a Usage fault, what can be refused without asking anybody.
func (r Request) Check() error { return r.withDefaults().check() }

// check is Check of a request with its defaults.
func (r Request) check() error {
	if r.IfNotExists && r.Name == defaultName {
		return usagef("Give it a name with --name", "whether an application exists is told by its name, and none is given")
	}
	if r.IfNotExists && r.IDFile != "" {
		return usagef("Use one of them", "--if-not-exists tells an application by its name, --id-file by the file's id")
	}
	if r.Workers < 0 || r.Workers > MaxWorkers {
		return usagef(fmt.Sprintf("Use --workers 0 to %d", MaxWorkers), "%d workers are out of range", r.Workers)
	}
	if r.WorkersPerNode < 0 || r.WorkersPerNode > MaxWorkers {
		return usagef(fmt.Sprintf("Use --worker-max-per-node 1 to %d, or 0 for any number", MaxWorkers), "%d workers on a node are out of range", r.WorkersPerNode)
	}
	if err := r.Adapt.check(); err != nil {
		return err
	}
	if r.Adapt.Max > 0 && r.Workers > r.Adapt.Max {
		return usagef("Raise the maximum of --adapt, or lower --workers", "%d workers to begin with are more than the maximum of %d", r.Workers, r.Adapt.Max)
	}
	for _, x := range []struct {
		role string
		res  Resources
	}{{"worker", r.Worker}, {"scheduler", r.Scheduler}, {"am", r.AM}, {"driver", r.DriverSize}} {
		if x.res.VCores < 1 || x.res.VCores > maxVCores {
			return usagef(fmt.Sprintf("Use --%s-vcores 1 to %d", x.role, maxVCores), "%s of %d vcores is out of range", x.role, x.res.VCores)
		}
		if x.res.Memory < minMemory || x.res.Memory > maxMemory {
			return usagef(fmt.Sprintf("Use --%s-memory 16MiB or more, such as 512MiB or 4GiB", x.role), "%s memory of %s is out of range", x.role, FormatBytes(x.res.Memory))
		}
	}
	if err := r.checkPools(); err != nil {
		return err
	}
	if err := r.checkTexts(); err != nil {
		return err
	}
	if err := r.checkNumbers(); err != nil {
		return err
	}
	if err := r.checkAccess(); err != nil {
		return err
	}
	if err := r.checkDriver(); err != nil {
		return err
	}
	switch r.Wait {
	case WaitNone, WaitAccepted, WaitRunning, WaitFinished:
	case WaitWorkers:
		if n := r.first(); r.WaitWorkers < 1 || r.WaitWorkers > n {
			return usagef(fmt.Sprintf("Use --wait workers:N with N from 1 to %d", n), "%d workers would never be reached by %d", r.WaitWorkers, n)
		}
	default:
		return usagef("Use --wait none|accepted|workers:N|finished", "unknown wait %q", r.Wait)
	}
	return nil
}

// checkTexts refuses what no application can have for a name, queue, variable, ….
func (r Request) checkTexts() error {
	if !nameRule.MatchString(r.Name) {
		return usagef("Use --name with 1 to 200 printable characters", "the name %q cannot be used", r.Name)
	}
	if !queueRule.MatchString(r.Queue) {
		return usagef("Use --queue with the name of a queue, without spaces", "the queue %q cannot be used", r.Queue)
	}
	for _, x := range [][2]string{{"node", r.NodeLabel}, {"am", r.AMLabel}, {"scheduler", r.SchedulerLabel}} { // the others are the first where nobody said so
		if !labelRule.MatchString(x[1]) {
			return usagef("Use --"+x[0]+"-label with one label", "the node label %q cannot be used", x[1])
		}
	}
	if len(r.Tags) > config.MaxTags {
		return usagef(fmt.Sprintf("Use at most %d --tags", config.MaxTags), "%d tags are more than YARN takes", len(r.Tags))
	}
	for _, t := range r.Tags {
		if !tagRule.MatchString(t) {
			return usagef("Use tags of at most 100 ASCII characters without spaces", "the tag %q cannot be used", t)
		}
	}
	if n := len(r.Archives) + len(r.Files); n > maxFiles {
		return usagef("Pack them into one archive", "%d files and archives are more than %d", n, maxFiles)
	}
	if err := checkVars("--worker-env", r.EnvVars); err != nil {
		return err
	}
	return checkVars("--am-env", r.AMEnv)
}

// checkVars refuses variables that no process can have.
func checkVars(flag string, vars map[string]string) error {
	for k, v := range vars {
		if !varRule.MatchString(k) {
			return usagef("Use "+flag+" NAME=value", "%q is no name for an environment variable", k)
		}
		if len(v) > maxValue || strings.ContainsRune(v, 0) {
			return usagef("Put it into a file and ship that with --files", "the value of %s cannot be given to a process: it has a zero byte, or more than %d bytes", k, maxValue)
		}
	}
	return nil
}

// checkNumbers refuses what is out of range.
func (r Request) checkNumbers() error {
	if r.IdleTimeout < 0 || r.MaxAttempts < 0 {
		return usagef("Leave the flag away for the default", "a negative idle time-out or number of attempts has no meaning")
	}
	if r.Restarts < -1 || r.Restarts > config.MaxRestarts {
		return usagef(fmt.Sprintf("Use --worker-restarts 1 to %d, or -1 for any number", config.MaxRestarts), "%d rounds of restarts are out of range", r.Restarts)
	}
	if r.AttemptWindow < time.Second {
		return usagef("Use --attempt-window 1s or more, such as 10m", "failures of the application master cannot count for %v", r.AttemptWindow)
	}
	if r.MaxAttempts > config.MaxAttempts {
		return usagef(fmt.Sprintf("Use --max-attempts 1 to %d", config.MaxAttempts), "%d attempts are out of range", r.MaxAttempts)
	}
	if r.Priority < 0 || r.Priority > config.MaxPriority {
		return usagef(fmt.Sprintf("Use --priority 0 to %d", config.MaxPriority), "the priority %d is out of range", r.Priority)
	}
	if r.Ports != (Ports{}) {
		if _, _, err := config.ParsePorts(r.Ports.String()); err != nil {
			return usagef("Use --port-range LOW-HIGH", "%v", err)
		}
	}
	if r.Interface != "" {
		if err := config.CheckInterface(r.Interface); err != nil {
			return usagef("Use --interface with the name of one, such as eth1, or with a network such as 10.1.0.0/16", "%v", err)
		}
	}
	return nil
}

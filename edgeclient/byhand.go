package edgeclient

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/identity"
)

// byHand is a cluster whose scheduler and workers a person, or systemd, starts and
// stops: there is nobody who could start an application or end this one. Its id is its
// scheduler's address.
type byHand struct {
	address string // host:port
	user    string
	opts    Options
}

func openByHand(app string, opts Options) (*byHand, error) {
	address, err := ParseAddress(app)
	if err != nil {
		return nil, err
	}
	return &byHand{address: address, user: localUser(), opts: opts}, nil
}

// localUser is who runs this process.
func localUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// session proves to be a client by the credentials that all processes share. Nothing is
// connected yet.
func (b *byHand) session(r Report) (*Session, error) {
	path, err := CredentialsPath(b.opts.Credentials)
	if err != nil {
		return nil, err
	}
	credentials, err := ReadCredentials(path)
	if err != nil {
		return nil, err
	}
	id, err := credentials.Identity(identity.Client, b.user)
	if err != nil {
		return nil, &Fault{Code: Internal, What: "cannot make a certificate", Why: err}
	}
	return &Session{App: r, Identity: id, address: b.address}, nil
}

// refuse says that a verb has no meaning here.
func (b *byHand) refuse(verb string) error { return byHandFault(AddressID(b.address), verb) }

func byHandFault(id, verb string) error {
	return &Fault{Code: Refused, What: fmt.Sprintf("yarnd cannot %s %s, which was started by hand", verb, id),
		Next: "Start, stop and look after its scheduler and workers where they run"}
}

func (b *byHand) Name() string { return "the scheduler at " + b.address }

func (b *byHand) User() string { return b.user }

func (b *byHand) NewID(context.Context) (string, Resources, error) {
	return "", Resources{}, b.refuse("start an application on")
}

func (b *byHand) Forget(string) {}

func (*byHand) CheckTokens(context.Context, Request) error { return nil }

func (b *byHand) Check(context.Context, Request, Resources) error {
	return b.refuse("start an application on")
}

func (b *byHand) Submit(context.Context, Launch) error { return b.refuse("start an application on") }

// Report tells what is known without asking: where it is.
func (b *byHand) Report(_ context.Context, id string) (Report, error) {
	if address, err := ParseAddress(id); err != nil || address != b.address {
		return Report{}, &Fault{Code: NotFound, What: fmt.Sprintf("%q is not %s", id, b.Name()), Next: "Give its address"}
	}
	return Report{ID: AddressID(b.address), Name: "by hand", User: b.user, State: StateRunning, Endpoint: b.address}, nil
}

func (b *byHand) List(context.Context, Filter) ([]Report, error) {
	return nil, b.refuse("list applications of")
}

func (b *byHand) Kill(context.Context, string, string) error { return b.refuse("end") }

func (b *byHand) FinishedLogs(context.Context, Report, func(LogFile) error) error {
	return b.refuse("read the logs of")
}

func (b *byHand) FS(context.Context) (hdfs.FS, error) {
	return nil, b.refuse("keep files for")
}

func (b *byHand) Site() ([]byte, error) { return nil, nil }

func (b *byHand) Env() map[string]string { return nil }

func (b *byHand) Realm() string { return "" }

func (b *byHand) VmRatio() float64 { return 0 }

func (b *byHand) Close() error { return nil }

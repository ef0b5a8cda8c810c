package yarnd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/identity"
)

// member is a process in a container, with its certificate and its line to the
// application master.
type member struct {
	launch *amclient.Launch
	id     *identity.Identity
	am     *amclient.Client
	bundle graph.Digest // of this binary
	stop   context.CancelFunc
}

// join reads what the container was told, and gets its certificate. Each of copies makes a file of tokens, "" is none, which is
// kept as new as the container's; it is called once it is known that this is a container's process.
func join(ctx context.Context, log *slog.Logger, copies ...func() (string, error)) (*member, error) {
	if err := amclient.Lifeline(); err != nil {
		return nil, err
	}
	launch, err := amclient.ReadLaunch()
	if err != nil {
		return nil, err
	}
	var files []string
	for _, make := range copies {
		file, err := make()
		if err != nil {
			return nil, err
		}
		if file != "" {
			files = append(files, file)
		}
	}
	id, err := amclient.Join(ctx, launch, amclient.Options{Locate: locate(launch), Log: log})
	if err != nil {
		return nil, err
	}
	am, err := amclient.Dial(id, amclient.Options{Addresses: launch.AM, Locate: locate(launch), Log: log})
	if err != nil {
		return nil, err
	}
	bundle, err := ownDigest()
	if err != nil {
		am.Close()
		return nil, err
	}
	renewing, stop := context.WithCancel(context.Background())
	go amclient.KeepRenewed(renewing, am, id)
	tokens := keepTokens(am, tokenFile(), files...)
	return &member{launch: launch, id: id, am: am, bundle: bundle, stop: func() { stop(); tokens() }}, nil
}

// locate tells how a container finds the application master when it is no more where
// it was: its next attempt writes its address into the staging directory. On this
// machine there is none.
func locate(l *amclient.Launch) func(context.Context) ([]string, error) {
	if edgeclient.IsLocalID(l.App) {
		return nil
	}
	return func(ctx context.Context) ([]string, error) {
		c, err := conf.Load(conf.Options{Dirs: []string{"."}})
		if err != nil {
			return nil, err
		}
		fs, err := hdfs.Open(ctx, c, l.Staging, hdfs.Options{User: l.User})
		if err != nil {
			return nil, err
		}
		defer fs.Close()
		text, err := staging{fs, l.Staging}.Read(ctx, spec.AddressFile)
		if err != nil {
			return nil, fmt.Errorf("cannot find the application master: %w", err)
		}
		address, err := spec.DecodeAddress(text)
		if err != nil {
			return nil, err
		}
		return address.AM, nil
	}
}

func (m *member) close() {
	m.stop()
	m.am.Close()
}

// scheduler waits until the application has a scheduler and says where it is.
func (m *member) scheduler(ctx context.Context) (string, uint64, error) {
	e, err := m.am.Scheduler(ctx)
	if err != nil {
		return "", 0, err
	}
	return e.GetAddress(), e.GetEpoch(), nil
}

// advertise is how others reach a listener: by the node's name, "" is this host's, when
// it listens on every address.
func advertise(addr net.Addr, node string) (string, error) {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if host = node; host == "" {
			if host, err = os.Hostname(); err != nil {
				return "", err
			}
		}
	}
	return net.JoinHostPort(host, port), nil
}

// ownDigest hashes the running binary.
func ownDigest() (graph.Digest, error) {
	var d graph.Digest
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return d, fmt.Errorf("cannot read this program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return d, fmt.Errorf("cannot read this program: %w", err)
	}
	copy(d[:], h.Sum(nil))
	return d, nil
}

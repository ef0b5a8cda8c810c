package yarn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// nodeTime bounds one call to a NodeManager with all its repetitions.
const nodeTime = time.Minute

// Start starts the pool's command in a container.
func (p *Provider) Start(id string, secrets map[string][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.box(id)
	if b == nil {
		p.queue.Put(reconcile.LaunchFailed{ID: id, Why: "there is no such container", Blameless: true})
		return
	}
	if b.state != allocated || b.stop || p.closed {
		return
	}
	tok, ok := p.tokens[b.node]
	if !ok {
		p.giveUp(b, reconcile.LaunchFailed{Why: fmt.Sprintf("the ResourceManager gave no token for node %s", b.node), Blameless: true, Void: true})
		return
	}
	launch, err := p.launchContext(b.pool.spec, secrets)
	if err != nil {
		p.giveUp(b, reconcile.LaunchFailed{Why: err.Error()})
		return
	}
	b.state = starting
	p.wg.Go(func() { p.start(b, tok, launch) })
}

// box finds a container, under mu.
func (p *Provider) box(id string) *box {
	cid, err := hadoop.ParseContainerID(id)
	if err != nil {
		return nil
	}
	return p.boxes[cid]
}

// giveUp reports that a container was not started, and hands it back, under mu.
func (p *Provider) giveUp(b *box, failed reconcile.LaunchFailed) {
	if p.boxes[b.id] != b {
		return // its end was reported meanwhile
	}
	p.forget(b)
	p.giveBack(b.id)
	failed.ID = b.id.String()
	p.queue.Put(failed)
}

// start has one container started.
func (p *Provider) start(b *box, tok token.Token, launch *pb.ContainerLaunchContext) {
	if !p.enter() {
		return
	}
	defer p.leave()
	ctx, cancel := context.WithTimeout(p.ctx, nodeTime)
	defer cancel()
	err := p.tryStart(ctx, b, tok, launch)
	p.mu.Lock()
	defer p.mu.Unlock()
	var refused *hadoop.ContainerError
	switch {
	case p.boxes[b.id] != b || p.closed:
	case err == nil:
		b.state = running
		p.queue.Put(reconcile.Launched{ID: b.id.String()})
		if b.stop {
			p.wg.Go(func() { p.halt(b) })
		}
	case errors.As(err, &refused):
		// A container of before a failover, or the fault of the node, or of what was to be started?
		void := hadoop.IsInvalidContainer(err)
		p.giveUp(b, reconcile.LaunchFailed{Why: fmt.Sprintf("%s: %s", refused.Class, refused.Message), Blameless: void, Void: void})
	default:
		p.giveUp(b, reconcile.LaunchFailed{Why: fmt.Sprintf("node %s: %v", b.node, err), Blameless: true})
	}
}

// tryStart has a container started, and finds out whether it was when that call's
// outcome is not known.
func (p *Provider) tryStart(ctx context.Context, b *box, tok token.Token, launch *pb.ContainerLaunchContext) error {
	for tries := 0; ; tries++ {
		err := p.nm.StartContainer(ctx, b.node, tok, b.pb, launch)
		var refused *hadoop.ContainerError
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil || tries == 3 {
			return err
		}
		var remote *ipc.RemoteError
		if errors.As(err, &remote) && !ipc.IsRetriable(err) && !ipc.Is(err, "org.apache.hadoop.yarn.exceptions.NMNotYetReadyException") {
			return err
		}
		if !ipc.NotSent(err) && remote == nil {
			if list, _, err := p.nm.ContainerStatuses(ctx, b.node, tok, b.id); err == nil && len(list) == 1 {
				return nil // it had heard
			}
		}
		p.log.Info("starting a container again", "container", b.id.String(), "err", err)
		select {
		case <-time.After(time.Duration(tries+1) * 500 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Stop ends a container.
func (p *Provider) Stop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.box(id)
	if b == nil || b.stop || p.closed {
		return
	}
	b.stop = true
	switch b.state {
	case allocated:
		p.giveBack(b.id)
	case running:
		p.wg.Go(func() { p.halt(b) })
	case starting: // start sees to it
	}
}

// Release gives a container back. Of one of an earlier attempt the ResourceManager may
// not have told yet; it remembers what it was told to take back
// (AbstractYarnScheduler.releaseContainers, pendingRelease).
func (p *Provider) Release(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cid, err := hadoop.ParseContainerID(id)
	if err != nil || p.closed {
		return
	}
	if b := p.boxes[cid]; b != nil {
		b.stop = true
	} else if cid.Attempt == p.opt.Attempt || p.opt.Attempt == (hadoop.AttemptID{}) {
		return
	}
	p.giveBack(cid)
}

// halt has one container stopped. A node that cannot be reached will hear it from
// the ResourceManager.
func (p *Provider) halt(b *box) {
	if !p.enter() {
		return
	}
	defer p.leave()
	ctx, cancel := context.WithTimeout(p.ctx, nodeTime)
	defer cancel()
	p.mu.Lock()
	tok, ok := p.tokens[b.node]
	p.mu.Unlock()
	err := errors.New("there is no token for the node")
	if ok {
		var res *hadoop.ContainerResults
		if res, err = p.nm.StopContainers(ctx, b.node, tok, b.id); err == nil {
			err = res.Failed[b.id]
		}
	}
	if err == nil || p.ctx.Err() != nil {
		return
	}
	p.log.Info("a container's node does not stop it; the ResourceManager will", "container", b.id.String(), "err", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.boxes[b.id] == b {
		p.giveBack(b.id)
	}
}

// enter waits for one of the places at the NodeManagers' line.
func (p *Provider) enter() bool {
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *Provider) leave() { <-p.slots }

// launchContext says what a container runs.
func (p *Provider) launchContext(s *spec.Pool, secrets map[string][]byte) (*pb.ContainerLaunchContext, error) {
	// Of containers only a driver's is a client of the ResourceManager.
	strip := []string{token.KindAMRM, token.KindRM}
	if s.Role == spec.RoleDriver {
		strip = strip[:1]
	}
	creds := p.opt.Credentials.Without(strip...)
	creds.Secrets = maps.Clone(creds.Secrets)
	for alias, secret := range secrets {
		creds.AddSecret(alias, secret)
	}
	view, modify := p.register.Access.Launch()
	launch := &pb.ContainerLaunchContext{Tokens: creds.Append(nil, token.V0), Command: []string{s.CommandLine()},
		ApplicationAcls: hadoop.ACLs{View: string(view), Modify: string(modify)}.PB()} // which its node's pages obey
	env := map[string]string{}
	if !p.opt.Secure {
		env["HADOOP_USER_NAME"] = p.opt.User
	}
	maps.Copy(env, p.opt.Env)
	for _, key := range slices.Sorted(maps.Keys(env)) {
		launch.Environment = append(launch.Environment, &pb.StringStringMap{Key: proto.String(key), Value: proto.String(env[key])})
	}
	for i := range s.Files {
		res, err := LocalResource(&s.Files[i])
		if err != nil {
			return nil, err
		}
		launch.LocalResources = append(launch.LocalResources, &pb.StringLocalResourceMap{Key: proto.String(s.Files[i].Name), Value: res})
	}
	return launch, nil
}

// LocalResource says how YARN is to fetch a file.
func LocalResource(f *spec.File) (*pb.LocalResource, error) {
	u, err := url.Parse(f.URL)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", f.Name, err)
	}
	at := &pb.URL{Scheme: proto.String(u.Scheme), File: proto.String(u.Path)}
	if u.Hostname() != "" {
		at.Host = proto.String(u.Hostname())
	}
	// A name service has no port, and then -1 stands for it.
	port := int32(-1)
	if u.Port() != "" {
		var n int
		if _, err := fmt.Sscanf(u.Port(), "%d", &n); err != nil {
			return nil, fmt.Errorf("file %s: bad port in %s", f.Name, f.URL)
		}
		port = int32(n)
	}
	at.Port = proto.Int32(port)
	if u.User != nil {
		at.UserInfo = proto.String(u.User.String())
	}
	kind := pb.LocalResourceType_FILE
	if f.Archive {
		kind = pb.LocalResourceType_ARCHIVE
	}
	visibility := pb.LocalResourceVisibility_APPLICATION
	switch f.Visibility {
	case spec.Public:
		visibility = pb.LocalResourceVisibility_PUBLIC
	case spec.Private:
		visibility = pb.LocalResourceVisibility_PRIVATE
	case spec.ApplicationOnly:
	}
	return &pb.LocalResource{Resource: at, Size: proto.Int64(f.Size), Timestamp: proto.Int64(f.ModTime), Type: kind.Enum(), Visibility: visibility.Enum()}, nil
}

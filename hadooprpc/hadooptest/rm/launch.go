package rm

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// launchTimeout bounds the start of an application master.
const launchTimeout = time.Minute

// launchAll starts the application masters that have got a container, under mu.
func (m *RM) launchAll() {
	for _, l := range m.core.TakeLaunches() {
		v, err := m.core.App(l.Attempt.App, m.now())
		if err != nil {
			continue
		}
		launch, err := m.masterLaunch(v, l)
		if err != nil {
			m.core.LaunchFailed(l.Attempt, err.Error(), m.now())
			continue
		}
		start := start{l.Attempt, l.Container.Node, m.nmToken(l.Attempt, l.Container.Node, v.User), m.container(l.Container, v), launch, m.incarnation}
		m.wg.Go(func() { m.launch(start) })
	}
}

// start is one application master to be started.
type start struct {
	attempt     yarn.AttemptID
	node        yarn.NodeID
	token       token.Token
	container   *pb.Container
	launch      *pb.ContainerLaunchContext
	incarnation int
}

// masterLaunch is the launch context as submitted, with what the ResourceManager adds. Source: AMLauncher.setupTokens;
// MAX_APP_ATTEMPTS is of RMAppManager's and older, and harmless.
func (m *RM) masterLaunch(v core.AppView, l core.Launch) (*pb.ContainerLaunchContext, error) {
	out := &pb.ContainerLaunchContext{}
	if spec := v.Context.GetAmContainerSpec(); spec != nil {
		out = proto.CloneOf(spec)
	}
	most := int(v.Context.GetMaxAppAttempts())
	if limit := m.core.Config().MaxAttempts; most <= 0 || most > limit {
		most = limit
	}
	for _, kv := range [][2]string{
		{"APPLICATION_WEB_PROXY_BASE", "/proxy/" + v.ID.String()},
		{"APP_SUBMIT_TIME_ENV", strconv.FormatInt(v.Submitted.UnixMilli(), 10)},
		{"MAX_APP_ATTEMPTS", strconv.Itoa(most)},
	} {
		out.Environment = append(out.Environment, &pb.StringStringMap{Key: &kv[0], Value: &kv[1]})
	}
	creds := &token.Credentials{}
	if b := out.GetTokens(); len(b) > 0 {
		var err error
		if creds, err = token.Parse(b); err != nil {
			return nil, fmt.Errorf("java.io.IOException: %w", err)
		}
	}
	t := m.amrmToken(l.Attempt)
	creds.Add(t.Service, t)
	out.Tokens = creds.Append(nil, token.V0)
	return out, nil
}

// launch starts one.
func (m *RM) launch(s start) {
	select {
	case m.launching <- struct{}{}:
	case <-m.ctx.Done():
		return
	}
	defer func() { <-m.launching }()
	ctx, cancel := context.WithTimeout(m.ctx, launchTimeout)
	defer cancel()
	nm := yarn.NewNMClient(m.opts.NM)
	defer nm.Close()
	err := nm.StartContainer(ctx, s.node, s.token, s.container, s.launch)
	m.log.Debug("application master started", "attempt", s.attempt, "node", s.node, "err", err)
	m.do(func(now time.Time) {
		switch {
		case s.incarnation != m.incarnation:
		case err != nil:
			m.core.LaunchFailed(s.attempt, javaError(err), now)
		default:
			m.core.Launched(s.attempt, now)
		}
	})
}

// javaError prints an error as Java would: the class first.
func javaError(err error) string {
	if ce, ok := err.(*yarn.ContainerError); ok {
		return ce.Class + ": " + ce.Message
	}
	if ipc.NotSent(err) {
		return "java.net.ConnectException: " + err.Error()
	}
	return "java.io.IOException: " + err.Error()
}

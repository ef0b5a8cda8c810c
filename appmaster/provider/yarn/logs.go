package yarn

import (
	"context"
	"errors"
	"strings"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/hadooprpc/nodelog"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return first
}

// newReader reads logs through NodeManagers' web servers, which the ResourceManager names.
func newReader(o Options) *nodelog.Reader {
	return nodelog.NewReader(nodelog.Options{HTTPS: o.HTTPS, User: o.User, Tickets: o.Tickets})
}

// ReadLog reads from a container's log through its NodeManager's web server.
func (p *Provider) ReadLog(ctx context.Context, id, file string, offset int64, buf []byte) (int, int64, error) {
	cid, err := hadoop.ParseContainerID(id)
	if err != nil || (file != "stdout" && file != "stderr") {
		return 0, 0, provider.ErrNoLog
	}
	node, ok := p.nodeOf(cid)
	if !ok {
		return 0, 0, provider.ErrNoLog
	}
	n, at, err := p.logs.Read(ctx, nodelog.Log{Node: node, Container: id, Name: file}, offset, buf)
	if errors.Is(err, nodelog.ErrNoLog) {
		return 0, 0, provider.ErrNoLog
	}
	if refused, ok := errors.AsType[*nodelog.RefusedError](err); ok {
		return 0, 0, &provider.LogElsewhereError{Server: refused.Node, Err: err}
	}
	return n, at, err
}

// nodeOf returns the address of the web server of the node on which a container was
// started.
func (p *Provider) nodeOf(id hadoop.ContainerID) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.boxes[id]; b != nil && b.state != allocated {
		return b.pb.GetNodeHttpAddress(), true
	}
	node, ok := p.past[id]
	return node, ok
}

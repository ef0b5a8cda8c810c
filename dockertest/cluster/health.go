package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// lookTimeout bounds one look at one daemon.
const lookTimeout = 5 * time.Second

// Health returns nil when every daemon answers, each NameNode is out of safe mode with every DataNode alive, the
// ResourceManager sees every NodeManager running, and the homes exist; otherwise what is amiss. It waits for nothing.
func (c *Cluster) Health(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	group, look := errgroup.WithContext(look)
	for _, h := range c.spec.Composition.Hosts {
		for _, d := range h.Daemons {
			group.Go(func() error { return c.answers(look, h, d) })
		}
	}
	group.Go(func() error {
		if err := c.hdfsHealth(look); err != nil {
			return err
		}
		return c.ensureHomes(ctx) // begun is done, whatever the others find
	})
	group.Go(func() error { return c.yarnHealth(look) })
	return group.Wait()
}

// answers asks a daemon itself: what the masters say of the others lags behind by up to their expiry times.
func (c *Cluster) answers(ctx context.Context, h layout.Host, d layout.Daemon) error {
	if d.Port != 0 {
		conn, err := c.Dial(ctx, "tcp", net.JoinHostPort(h.Name, strconv.Itoa(d.Port)))
		if err != nil {
			return fmt.Errorf("%s on %s: %w", d.Name, h.Name, err)
		}
		return conn.Close()
	}
	if d.WebPort == 0 {
		return nil
	}
	var any struct{}
	if err := c.GetJSON(ctx, c.Web(h.Name, d)+runtimeBean, &any); err != nil {
		return fmt.Errorf("%s on %s: %w", d.Name, h.Name, err)
	}
	return nil
}

// runtimeBean is what each daemon shows to everybody, also where its pages want proof of who looks.
const runtimeBean = "/jmx?qry=java.lang:type=Runtime"

// AwaitHealth waits until Health returns nil. If that takes longer than timeout, the error says what was amiss in the
// end and shows the end of the logs of daemons that do not run.
func (c *Cluster) AwaitHealth(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := c.Health(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 250*time.Millisecond) != nil {
			return errors.Join(fmt.Errorf("the cluster %s is not healthy after %v: %w", c.spec.Name, timeout, err), c.deadDaemons())
		}
	}
}

// deadDaemons returns an error that names each daemon that does not run, with its log's end.
func (c *Cluster) deadDaemons() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var all []error
	for _, h := range c.spec.Composition.Hosts {
		for _, d := range h.Daemons {
			running, err := c.Running(ctx, h.Name, d.Name)
			if err == nil && !running {
				text, _ := c.Output(ctx, h.Name, "", "tail", "-n", "15", layout.LogDir+"/"+d.Name+".log")
				err = fmt.Errorf("%s on %s does not run; its log ends:\n%s", d.Name, h.Name, text)
			}
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// hdfsHealth asks the NameNodes in turn; all must be complete, so that each can go on where another was, and one active.
func (c *Cluster) hdfsHealth(ctx context.Context) error {
	want := len(c.spec.Composition.With(layout.DataNode))
	for _, h := range c.spec.Composition.With(layout.NameNode) {
		state, err := c.nameNodeState(ctx, c.Web(h.Name, layout.NameNode))
		if err == nil && (state.FSState != "Operational" || state.NumLiveDataNodes != want) {
			err = fmt.Errorf("the NameNode on %s has state %+v; wanted Operational with %d live DataNodes", h.Name, state, want)
		}
		if err != nil {
			return err
		}
	}
	_, err := c.ActiveNN(ctx)
	return err
}

// nameNodeState is what a NameNode says of itself.
type nameNodeState struct {
	FSState          string // "Operational" or "safeMode"
	NumLiveDataNodes int
}

func (c *Cluster) nameNodeState(ctx context.Context, web string) (nameNodeState, error) {
	var answer struct {
		Beans []nameNodeState `json:"beans"`
	}
	query := url.Values{"qry": {"Hadoop:service=NameNode,name=FSNamesystemState"}}
	if err := c.GetJSON(ctx, web+"/jmx?"+query.Encode(), &answer); err != nil {
		return nameNodeState{}, err
	}
	if len(answer.Beans) != 1 { // it is starting
		return nameNodeState{}, fmt.Errorf("the NameNode at %s does not say how it is", web)
	}
	return answer.Beans[0], nil
}

// rmNode is what the ResourceManager says of one NodeManager.
type rmNode struct {
	NodeHostName     string `json:"nodeHostName"`
	State            string `json:"state"`
	LastHealthUpdate int64  `json:"lastHealthUpdate"` // ms since 1970, the node's clock
}

// yarnHealth asks the ResourceManagers in turn; one that is active and complete is enough.
func (c *Cluster) yarnHealth(ctx context.Context) error {
	return c.any(layout.ResourceManager, func(web string) error {
		nodes, err := c.rmNodes(ctx, web)
		if err != nil {
			return err
		}
		for _, h := range c.spec.Composition.With(layout.NodeManager) {
			if err := c.registered(ctx, h, nodes); err != nil {
				return err
			}
		}
		return nil
	})
}

// allStates are those of nodes that are there and of those that are not.
const allStates = "new,running,unhealthy,decommissioning,decommissioned,lost,rebooted,shutdown"

func (c *Cluster) rmNodes(ctx context.Context, web string) ([]rmNode, error) {
	var answer struct {
		Nodes struct {
			Node []rmNode `json:"node"`
		} `json:"nodes"`
	}
	err := c.GetJSON(ctx, web+"/ws/v1/cluster/nodes?states="+allStates, &answer)
	return answer.Nodes.Node, err
}

// registered returns nil if the ResourceManager's list has h's NodeManager running, and means the process that runs
// now: after a kill -9 the list keeps the old one until its expiry, so what was heard last must be younger than the
// process.
func (c *Cluster) registered(ctx context.Context, h layout.Host, list []rmNode) error {
	var answer struct {
		Beans []struct{ StartTime int64 } // of the JVM; in ms since 1970
	}
	if err := c.GetJSON(ctx, c.Web(h.Name, layout.NodeManager)+runtimeBean, &answer); err != nil {
		return err
	}
	if len(answer.Beans) != 1 {
		return fmt.Errorf("the NodeManager on %s does not say since when it runs", h.Name)
	}
	for _, n := range list {
		if n.NodeHostName == c.spec.Composition.HostName(h) && n.State == "RUNNING" &&
			n.LastHealthUpdate >= answer.Beans[0].StartTime {
			return nil
		}
	}
	return fmt.Errorf("the NodeManager on %s is not registered with the ResourceManager, which has %+v", h.Name, list)
}

// any returns nil as soon as look, given the base URL of a host with daemon d, does.
func (c *Cluster) any(d layout.Daemon, look func(web string) error) error {
	var all []error
	for _, h := range c.spec.Composition.With(d) {
		err := look(c.Web(h.Name, d))
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Web returns the base URL of daemon d's pages on a host, by address, so that any client on this machine reaches it.
func (c *Cluster) Web(host string, d layout.Daemon) string {
	if k := c.spec.Composition.Kerberos; k != nil && k.HTTPS && d.HTTPSPort != 0 {
		return fmt.Sprintf("https://%s:%d", c.addrs[host], d.HTTPSPort)
	}
	return fmt.Sprintf("http://%s:%d", c.addrs[host], d.WebPort)
}

// maxAnswer is more than any page that is looked at has.
const maxAnswer = 16 << 20

// GetJSON reads one of the cluster's own pages, at a URL that Web begins, into a value.
func (c *Cluster) GetJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &statusError{url: url, code: res.StatusCode}
	}
	return json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into)
}

// statusError is an answer other than 200.
type statusError struct {
	url  string
	code int
}

func (e *statusError) Error() string { return fmt.Sprintf("%s answered with status %d", e.url, e.code) }

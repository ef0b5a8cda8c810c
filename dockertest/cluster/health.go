package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// lookTimeout bounds one look at one daemon.
const lookTimeout = 5 * time.Second

// Health returns nil when the NameNode is out of safe mode with every DataNode alive, the ResourceManager sees every
// NodeManager running, and the homes exist; otherwise what is amiss. It waits for nothing.
func (c *Cluster) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := c.hdfsHealth(ctx); err != nil {
			return err
		}
		return c.ensureHomes(ctx)
	})
	group.Go(func() error { return c.yarnHealth(ctx) })
	return group.Wait()
}

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

// hdfsHealth asks the NameNodes in turn; one that is active and complete is enough.
func (c *Cluster) hdfsHealth(ctx context.Context) error {
	want := len(c.spec.Composition.With(layout.DataNode))
	return c.any(layout.NameNode, func(web string) error {
		var answer struct {
			Beans []struct {
				FSState          string
				NumLiveDataNodes int
			} `json:"beans"`
		}
		query := url.Values{"qry": {"Hadoop:service=NameNode,name=FSNamesystemState"}}
		if err := c.getJSON(ctx, web+"/jmx?"+query.Encode(), &answer); err != nil {
			return err
		}
		if len(answer.Beans) != 1 || answer.Beans[0].FSState != "Operational" || answer.Beans[0].NumLiveDataNodes != want {
			return fmt.Errorf("the NameNode has state %+v; wanted Operational with %d live DataNodes", answer.Beans, want)
		}
		return nil
	})
}

// yarnHealth asks the ResourceManagers in turn; one that is active and complete is enough. A node that was created anew
// may be listed twice for a while, so hosts are counted.
func (c *Cluster) yarnHealth(ctx context.Context) error {
	return c.any(layout.ResourceManager, func(web string) error {
		var answer struct {
			Nodes struct {
				Node []struct {
					NodeHostName string `json:"nodeHostName"`
					State        string `json:"state"`
				} `json:"node"`
			} `json:"nodes"`
		}
		if err := c.getJSON(ctx, web+"/ws/v1/cluster/nodes", &answer); err != nil {
			return err
		}
		var running []string
		for _, n := range answer.Nodes.Node {
			if n.State == "RUNNING" {
				running = append(running, n.NodeHostName)
			}
		}
		for _, h := range c.spec.Composition.With(layout.NodeManager) {
			if !slices.Contains(running, c.spec.Composition.HostName(h)) {
				return fmt.Errorf("the ResourceManager does not see a running NodeManager on %s: %+v", h.Name, answer.Nodes.Node)
			}
		}
		return nil
	})
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
	return fmt.Sprintf("http://%s:%d", c.addrs[host], d.WebPort)
}

// maxAnswer is more than any page that is looked at has.
const maxAnswer = 16 << 20

func (c *Cluster) getJSON(ctx context.Context, url string, into any) error {
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

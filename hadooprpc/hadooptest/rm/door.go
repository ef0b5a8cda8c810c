package rm

import (
	"cmp"
	"errors"
	"net"
	"net/http"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
)

// door is where one ResourceManager of a pair listens. Behind one of them is the state; the other is a standby: its
// pages say so, and its other ports refuse, as a real one's do.
type door struct {
	client, scheduler *hadooptest.Server
	web               *webServer
}

// openDoors begins to listen, with the first of the doors active.
func (m *RM) openDoors() error {
	at := Options{ClientAddr: m.opts.ClientAddr, SchedulerAddr: m.opts.SchedulerAddr, WebAddr: m.opts.WebAddr}
	for i := range 2 {
		if i > 0 && !m.opts.Pair {
			break
		}
		d := &door{}
		m.doors = append(m.doors, d)
		if err := d.listen(m, i, at); err != nil {
			return err
		}
		at = Options{}
		if i > 0 {
			if err := d.refuse(true); err != nil {
				return err
			}
		}
		d.web.open()
	}
	m.core.SetWebAddr(m.doors[0].web.addr)
	return nil
}

func (d *door) listen(m *RM, i int, at Options) (err error) {
	free := net.JoinHostPort(cmp.Or(m.opts.Host, "127.0.0.1"), "0")
	d.client, err = hadooptest.NewServer(hadooptest.Options{Addr: cmp.Or(at.ClientAddr, free), Passwords: m.delegationPassword, Logger: m.opts.Logger})
	if err != nil {
		return err
	}
	d.scheduler, err = hadooptest.NewServer(hadooptest.Options{Addr: cmp.Or(at.SchedulerAddr, free), TokenOnly: true, Passwords: m.amrmPassword, Logger: m.opts.Logger})
	if err != nil {
		return err
	}
	d.web, err = newWeb(cmp.Or(at.WebAddr, free), m, i)
	m.handleClients(d.client)
	m.handleMasters(d.scheduler)
	return err
}

// refuse closes the ports for calls, and what is connected, or opens them.
func (d *door) refuse(refuse bool) error {
	err := errors.Join(d.client.Refuse(refuse), d.scheduler.Refuse(refuse))
	if refuse {
		d.client.CloseConns()
		d.scheduler.CloseConns()
	}
	return err
}

func (d *door) close() {
	for _, s := range []*hadooptest.Server{d.client, d.scheduler} {
		if s != nil {
			s.Close()
		}
	}
	if d.web != nil {
		d.web.close()
	}
}

// open is the door behind which the state is.
func (m *RM) open() *door {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doors[m.active]
}

// addrs lists the addresses of all doors.
func (m *RM) addrs(of func(*door) string) (all []string) {
	for _, d := range m.doors {
		all = append(all, of(d))
	}
	return all
}

// ClientAddr is where clients connect (yarn.resourcemanager.address), host:port; of a pair, to the active one.
func (m *RM) ClientAddr() string { return m.open().client.Addr() }

// SchedulerAddr is where application masters connect (yarn.resourcemanager.scheduler.address), host:port.
func (m *RM) SchedulerAddr() string { return m.open().scheduler.Addr() }

// WebAddr is where the pages are (yarn.resourcemanager.webapp.address), host:port.
func (m *RM) WebAddr() string { return m.open().web.addr }

// ClientAddrs are those of both of a pair, the same whichever is active.
func (m *RM) ClientAddrs() []string { return m.addrs(func(d *door) string { return d.client.Addr() }) }

// SchedulerAddrs are those of both of a pair.
func (m *RM) SchedulerAddrs() []string {
	return m.addrs(func(d *door) string { return d.scheduler.Addr() })
}

// WebAddrs are those of both of a pair.
func (m *RM) WebAddrs() []string { return m.addrs(func(d *door) string { return d.web.addr }) }

// ClientServer takes faults for single calls of clients, of the one that is active.
func (m *RM) ClientServer() *hadooptest.Server { return m.open().client }

// SchedulerServer takes faults for single calls of application masters, of the one that is active.
func (m *RM) SchedulerServer() *hadooptest.Server { return m.open().scheduler }

// SchedulerServers are those of both of a pair.
func (m *RM) SchedulerServers() (all []*hadooptest.Server) {
	for _, d := range m.doors {
		all = append(all, d.scheduler)
	}
	return all
}

// behind serves the pages of a door: a standby says who it is, and sends elsewhere for all else.
// Source: RMWebAppFilter.doFilter (3.4.2).
func (m *RM) behind(i int, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		active := m.active
		m.mu.Unlock()
		switch {
		case active == i:
			pages.ServeHTTP(w, r)
		case r.URL.Path == "/ws/v1/cluster" || r.URL.Path == "/ws/v1/cluster/info":
			m.info(w, true)
		default:
			http.Redirect(w, r, "http://"+m.doors[active].web.addr+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		}
	})
}

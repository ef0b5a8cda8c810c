package appmaster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// doors are the application master's listeners with what serves them.
type doors struct {
	port  int
	gate  *gate
	grpc  *grpc.Server
	http  *http.Server
	loop  *loop
	wg    sync.WaitGroup
	close func()
}

// open starts to listen and serve.
func (l *loop) open() (*doors, error) {
	ln, err := listen(l.opt.Spec.Listen)
	if err != nil {
		return nil, err
	}
	web, err := listen(l.opt.Spec.Listen)
	if err != nil {
		ln.Close()
		return nil, err
	}
	l.port = portOf(ln)
	l.web = "http://" + net.JoinHostPort(l.node, strconv.Itoa(portOf(web))) + "/"
	l.publish()
	d := &doors{port: l.port, loop: l, gate: newGate(ln, l.id, l.serveJoin, l.log), grpc: l.newServer()}
	d.http = &http.Server{
		Handler: l.newPage(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}
	d.wg.Go(func() {
		if err := d.grpc.Serve(d.gate); err != nil {
			l.log.Error("the API has stopped", "err", err)
		}
	})
	d.wg.Go(func() { d.http.Serve(web) })
	d.close = sync.OnceFunc(d.shut)
	return d, nil
}

// shut closes the doors. Streams get a moment to say how it ended.
func (d *doors) shut() {
	close(d.loop.closed)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stop := context.AfterFunc(ctx, d.grpc.Stop)
	d.grpc.GracefulStop()
	stop()
	d.grpc.Stop()
	d.gate.Close()
	if err := d.http.Shutdown(ctx); err != nil {
		d.http.Close()
	}
	d.wg.Wait()
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// listen opens a port as the spec says: on one address or all, and out of a range
// or any.
func listen(how spec.Listen) (net.Listener, error) {
	host := how.Host
	if how.Interface != "" {
		var err error
		if host, err = addressOf(how.Interface); err != nil {
			return nil, err
		}
	}
	if how.PortMin == 0 {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, fmt.Errorf("application master: cannot listen: %w", err)
		}
		return ln, nil
	}
	// From a random place on, so that masters on one node do not queue up.
	n := how.PortMax - how.PortMin + 1
	first := rand.IntN(n)
	var last error
	for i := range n {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(how.PortMin+(first+i)%n)))
		if err == nil {
			return ln, nil
		}
		last = err
	}
	return nil, fmt.Errorf("application master: cannot listen on any port of %d to %d: %w", how.PortMin, how.PortMax, last)
}

func addressOf(name string) (string, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return "", fmt.Errorf("application master: network interface %s: %w", name, err)
	}
	addrs, err := ifc.Addrs()
	if err != nil {
		return "", fmt.Errorf("application master: network interface %s: %w", name, err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			return ip.IP.String(), nil
		}
	}
	return "", fmt.Errorf("application master: network interface %s has no address", name)
}

package appmaster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/identity/strangers"
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

// Bounds of connections to the page, on which nobody says who he is. The web proxy makes one for each who looks.
const (
	visitorsTotal = 512
	visitorsFrom  = 128 // per address
)

// open starts to listen and serve.
func (l *loop) open() (*doors, error) {
	ln, err := listen.Open(l.opt.Spec.Listen)
	if err != nil {
		return nil, fmt.Errorf("application master: %w", err)
	}
	web, err := listen.Open(l.opt.Spec.Listen)
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("application master: %w", err)
	}
	l.port = portOf(ln)
	l.web = "http://" + net.JoinHostPort(l.node, strconv.Itoa(portOf(web))) + "/"
	l.publish()
	d := &doors{port: l.port, loop: l, gate: newGate(ln, l.id, l.serveJoin, l.serveClaim, l.log), grpc: l.newServer()}
	d.http = &http.Server{
		Handler: l.newPage(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}
	d.wg.Go(func() {
		if err := d.grpc.Serve(d.gate); err != nil {
			l.log.Error("the API has stopped", "err", err)
		}
	})
	d.wg.Go(func() { d.http.Serve(strangers.NewRoom(visitorsTotal, visitorsFrom).Listen(web)) })
	d.close = sync.OnceFunc(d.shut)
	l.doors = d
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

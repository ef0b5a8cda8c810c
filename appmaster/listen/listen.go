package listen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// Open listens as the specification says. With a range of ports it begins at a random
// one, so that processes that start at once do not queue up.
func Open(how spec.Listen) (net.Listener, error) {
	host, err := Host(how)
	if err != nil {
		return nil, err
	}
	if how.PortMin == 0 {
		ln, err := open(host, 0)
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", place(host), err)
		}
		return ln, nil
	}
	n := how.PortMax - how.PortMin + 1
	first := rand.IntN(n) // #nosec G404 -- spares collisions; who may connect does not depend on the port
	for i := range n {
		port := how.PortMin + (first+i)%n
		ln, err := open(host, port)
		if err == nil {
			return ln, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return nil, fmt.Errorf("cannot listen on %s: %w", net.JoinHostPort(host, strconv.Itoa(port)), err)
		}
	}
	return nil, &NoPortError{Host: host, Min: how.PortMin, Max: how.PortMax}
}

func open(host string, port int) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// NoPortError tells that a range has no free port.
type NoPortError struct {
	Host     string // "" is every address
	Min, Max int
}

func (e *NoPortError) Error() string {
	return fmt.Sprintf("no port of %d-%d is free on %s: all %d are taken; a node needs one for each worker on it, one for the scheduler and two for the application master: submit with a larger --port-range",
		e.Min, e.Max, place(e.Host), e.Max-e.Min+1)
}

func place(host string) string {
	if host == "" {
		return "this node"
	}
	return host
}

// Host returns the address to listen on, and to tell others: "" is every address.
func Host(how spec.Listen) (string, error) {
	if how.Interface == "" {
		return how.Host, nil
	}
	all, err := addresses()
	if err != nil {
		return "", fmt.Errorf("cannot list the network interfaces: %w", err)
	}
	return choose(how.Interface, all)
}

// address is one address of an interface.
type address struct {
	name string
	ip   netip.Addr
}

func (a address) String() string { return a.name + " " + a.ip.String() }

func addresses() ([]address, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []address
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went away
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, address{i.Name, p.Addr().Unmap()})
			}
		}
	}
	return out, nil
}

// choose takes the first IPv4 address that fits, else the first other one. Addresses
// that hold on one link alone are of no use to others.
func choose(want string, all []address) (string, error) {
	fits := func(a address) bool { return a.name == want }
	if prefix, err := netip.ParsePrefix(want); err == nil {
		fits = func(a address) bool { return prefix.Contains(a.ip) }
	}
	all = slices.DeleteFunc(slices.Clone(all), func(a address) bool { return a.ip.IsLinkLocalUnicast() })
	var found []address
	for _, a := range all {
		if fits(a) {
			found = append(found, a)
		}
	}
	for _, a := range found {
		if a.ip.Is4() {
			return a.ip.String(), nil
		}
	}
	if len(found) > 0 {
		return found[0].ip.String(), nil
	}
	var have []string
	for _, a := range all {
		have = append(have, a.String())
	}
	return "", fmt.Errorf("no address of this node is on the network interface %s: it has %s; submit with another --interface", want, strings.Join(have, ", "))
}

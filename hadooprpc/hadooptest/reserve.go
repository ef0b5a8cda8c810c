package hadooptest

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// reserveTime bounds how long Reserve waits.
const reserveTime = 5 * time.Second

// Reserve keeps a port from being given to others while nobody listens there: a socket that is bound and does not
// listen. Connecting is refused, and who may share the address, as Go's listeners may, can listen. The returned
// function lets it go. Only ports of IPv4 addresses are kept.
//
// Who has just closed a listener there waits here for as long as others have it open still: a process that was being started
// meanwhile has all files of its parent until it is another program.
func Reserve(addr string) (release func()) {
	nothing := func() {}
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().Is4() {
		return nothing
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nothing
	}
	unix.CloseOnExec(fd)
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	for end := time.Now().Add(reserveTime); err == nil; time.Sleep(time.Millisecond) {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
		if err != unix.EADDRINUSE || time.Now().After(end) {
			break
		}
		err = nil
	}
	if err != nil {
		unix.Close(fd)
		return nothing
	}
	return func() { unix.Close(fd) }
}

package rawio

import "net"

// Conn is a TCP connection. Read is for one goroutine at a time, and so is Write; both
// may be used together. Deadlines and Close are the connection's own.
type Conn struct {
	net.Conn
	Writer
	r *half
}

// NewConn returns nc itself unless it is a TCP connection.
func NewConn(nc net.Conn) net.Conn {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	rc, err := tc.SyscallConn()
	if err != nil {
		return nc
	}
	return &Conn{Conn: nc, Writer: Writer{w: newWriter(rc)}, r: newReader(rc)}
}

// Spooler is a connection that can be written to without waiting, as Writer can.
type Spooler interface {
	Spool(most int)
	Rest() int
	Settle() error
}

// Under returns the Spooler that nc is, or that lies below it: layers tell by a method
// NetConn what they are on. It returns nil if there is none.
func Under(nc net.Conn) Spooler {
	for {
		switch c := nc.(type) {
		case Spooler:
			return c
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil
		}
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) { return c.r.read(p) }

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) { return c.Writer.Write(p) }

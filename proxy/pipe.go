package proxy

import "github.com/imapgate/imapgate/proxy/wire"

// moveFrom is how many octets of a literal must be left to pass by a pipe; 0 leaves it to the readers. A
// test makes it one.
var moveFrom int64

// take reads once, to where the octets are to go.
func (c *control) take(b []byte) (int, error) {
	if c.pipe != nil {
		return c.conn.Fill(c.pipe)
	}
	return c.conn.Read(b)
}

// Fill reads from the client as Read does, into a pipe.
func (u upSource) Fill(p *wire.Pipe) (int, error) {
	u.s.up.pipe = p
	defer func() { u.s.up.pipe = nil }()
	return u.Read(nil)
}

// Plain says whether the client's octets can pass by a pipe of the kernel.
func (u upSource) Plain() bool { return u.s.conn.Plain() }

// Fill reads from the backend as Read does, into a pipe.
func (d downSource) Fill(p *wire.Pipe) (int, error) {
	d.s.down.pipe = p
	defer func() { d.s.down.pipe = nil }()
	return d.Read(nil)
}

// Plain says whether the backend's octets can pass by a pipe of the kernel.
func (d downSource) Plain() bool { return d.s.b.Net.Plain() }

// Drain writes what a pipe holds, or a good part of it, in the time that the peer has.
func (k *sink) Drain(p *wire.Pipe) error {
	k.extend()
	return k.conn.Drain(p)
}

// Plain says whether the peer can be written to from a pipe of the kernel.
func (k *sink) Plain() bool { return k.conn.Plain() }

// Drain is Write for what a pipe holds.
func (u upSink) Drain(p *wire.Pipe) error {
	u.s.pending.publishStaged()
	return u.s.toBackend.Drain(p)
}

// Plain says whether the backend can be written to from a pipe of the kernel.
func (u upSink) Plain() bool { return u.s.toBackend.Plain() }

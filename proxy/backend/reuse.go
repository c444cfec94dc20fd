package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// A Reuse says how long a connection waits after a client's LOGOUT for the next session of the same user with
// the same credentials. The zero value is never: each session has a connection of its own.
//
// It excludes [ProxyHeader] and [Forward]: what they tell is true of one client only.
type Reuse struct {
	Idle        time.Duration // that one waits; 0 is never
	Life        time.Duration // since its login, after which it is given to nobody
	Connections int           // that wait at a time
	PerUser     int           // of them, of one user
}

// On reports whether connections are kept.
func (r Reuse) On() bool { return r.Idle > 0 }

// MaxReady bounds how many connections are kept open ahead of logins.
const MaxReady = 100

// Check returns why connections to this backend cannot be kept, or not be made ahead of logins; nil where nothing is
// in the way.
func (c *Config) Check() error {
	reuse, ready := c.Reuse.On(), c.Ready != 0
	switch {
	case !reuse && !ready:
		return nil
	case c.ForwardID != ForwardOff && c.ForwardID != "":
		return errors.New("connections cannot be used again, or made ahead of logins, where ID tells the backend who the client is")
	case c.ProxyProtocol != ProxyOff && c.ProxyProtocol != "":
		return errors.New("connections cannot be used again, or made ahead of logins, where a PROXY header tells the backend who the client is")
	case c.Ready < 0 || c.Ready > MaxReady:
		return fmt.Errorf("%d connections cannot be ready, %d at most", c.Ready, MaxReady)
	case reuse && (c.Reuse.Life <= 0 || c.Reuse.Connections <= 0 || c.Reuse.PerUser <= 0):
		return errors.New("connections that are kept need bounds: a life, and how many may wait, in all and of one user")
	}
	return nil
}

// Renew returns the connection for another session: as it is after a login, and with nothing of the session
// before but its tags, which go on. The caller alone uses it, and b no more.
func (b *Conn) Renew() *Conn {
	b.Net.SetReadDeadline(time.Time{})
	b.Net.SetWriteDeadline(time.Time{})
	return &Conn{
		Config: b.Config, Net: b.Net, In: wire.NewResponses(b.Net, nil), Out: wire.NewWriter(b.Net),
		Announcement: b.Announcement, Before: b.Before, Greeting: b.Greeting, Last: b.Last, tags: b.tags, talk: new(talk),
	}
}

// Forsake lets go of all that a session has tied to b, behind a Renew: the connection is within what Open has
// made, and would keep the first session, its client's connection and what that held, for as long as it lives.
func (b *Conn) Forsake() { b.In, b.Out = nil, nil }

// Unselect leaves the mailbox without expunging (RFC 3691). What the backend still tells of it is dropped.
// After an error the connection is of no use. Errors are *Error.
func (b *Conn) Unselect(ctx context.Context) error {
	return b.settle(ctx, string(imap.CapUnselect), func(m *wire.Message) error {
		switch m.Name {
		case "BYE":
			return errEnds
		case "BAD": // it does not understand what was said to it
			return errUnasked
		}
		return nil
	})
}

// Alive asks for a sign of life. It must be the very next that the backend says, and all of it: whatever else
// comes was not meant for who uses the connection now, and the connection is of no use. Errors are *Error.
func (b *Conn) Alive(ctx context.Context) error {
	return b.settle(ctx, "NOOP", func(*wire.Message) error { return errUnasked })
}

var (
	errEnds    = errors.New("the backend ends the connection")
	errUnasked = errors.New("the backend says what nobody has asked for")
)

// settle runs a command without arguments, behind whose OK nothing may stand.
func (b *Conn) settle(ctx context.Context, name string, untagged func(*wire.Message) error) error {
	return b.during(ctx, func(context.Context) error {
		tag := b.nextTag()
		b.Out.Begin()
		b.Out.Head(tag, name)
		b.Out.CRLF()
		err := b.Out.EndFlush()
		if err == nil {
			err = b.settled(string(tag), untagged)
		}
		if err != nil {
			return b.Config.fail(Unreachable, "reuse", err)
		}
		return nil
	})
}

func (b *Conn) settled(tag string, untagged func(*wire.Message) error) error {
	var m wire.Message
	for range maxUntagged {
		if err := b.In.Next(&m); err != nil {
			return err
		}
		switch {
		case m.Untagged():
			if err := untagged(&m); err != nil {
				return err
			}
			if err := b.In.Skip(); err != nil {
				return err
			}
			continue
		case string(m.Tag) != tag || m.Name != "OK":
			return &wire.Desync{Text: "unexpected answer"}
		}
		if err := b.In.Skip(); err != nil {
			return err
		}
		if !b.Idle() {
			return errUnasked
		}
		return nil
	}
	return &wire.Desync{Text: "too many responses before an answer"}
}

// Idle reports whether all that was read of the backend was consumed.
func (b *Conn) Idle() bool { return b.In.Boundary() && b.Net.Drained() }

// Logout says LOGOUT; the answer is the caller's to wait for.
func (b *Conn) Logout() error { return b.line(string(b.nextTag()) + " LOGOUT") }

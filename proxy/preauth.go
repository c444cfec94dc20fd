package proxy

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	maxBads     = 5  // commands that are BAD before login
	maxFailures = 5  // logins with wrong credentials on one connection
	maxLogins   = 20 // logins that come to nothing on one connection, whatever the reason
)

// A login is a client that wants to log in; its tag is still unanswered.
type login struct {
	*client
	tag       string
	mechanism string // LOGIN is the command, AUTH=LOGIN the mechanism
	creds     auth.Credentials
}

// errLogout says that the client said LOGOUT and was answered.
var errLogout = errors.New("logout")

// errStopping says that the server takes no more logins.
var errStopping = errors.New("the server is stopping")

// preauth carries the conversation before login (RFC 3501 section 6.1 and 6.2) up to a command that
// wants to log in.
func (c *client) preauth(ctx context.Context) (*login, error) {
	defer c.conn.SetReadDeadline(time.Time{})
	c.conn.SetReadDeadline(time.Now().Add(c.opts.Timeouts.Preauth))
	for {
		if ctx.Err() != nil { // looked at behind the deadline, which the server's end moves
			return nil, c.ended(errStopping)
		}
		var m wire.Message
		err := c.in.Next(&m)
		if err == nil {
			err = c.arguments(&m)
		}
		if fault, ok := errors.AsType[*wire.Fault](err); ok {
			err = c.fault(&m, fault)
			if err == nil {
				continue
			}
		}
		if err != nil && ctx.Err() != nil {
			err = errStopping
		}
		if err != nil {
			return nil, c.ended(err)
		}
		if l, err := c.command(ctx, &m); l != nil || err != nil {
			return l, err
		}
	}
}

// errUnknown is the fault of a command that nobody takes before login. Its arguments are read past, not
// held.
var errUnknown = &wire.Fault{Kind: wire.FaultSyntax, Text: "Unknown command, or one that needs a login first"}

// arguments reads what follows the head of a command.
func (c *client) arguments(m *wire.Message) error {
	if preauthCommands[m.Name] == nil {
		return errUnknown
	}
	if need := needs[m.Name]; c.door.policy.Removes(need) {
		return c.takenAway(need)
	}
	if err := c.in.Collect(m, min(c.opts.Limits.Literal, int64(c.opts.Limits.PreauthLine)), c.goOn); err != nil {
		return err
	}
	if slices.ContainsFunc(m.Tokens, c.door.refuses) {
		return c.takenAway(imap.CapLiteralPlus)
	}
	return nil
}

// takenAway counts the use of what the policy takes away; the fault is the answer.
func (c *client) takenAway(what imap.Cap) *wire.Fault {
	c.srv.metrics.filtered.WithLabelValues(translate.Used(what)).Inc()
	return &wire.Fault{Kind: wire.FaultSyntax, Text: notOffered(what).Text}
}

// needs are the capabilities without which a command before login is unknown.
var needs = map[string]imap.Cap{"ID": imap.CapID, "STARTTLS": imap.CapStartTLS}

// greet sends the greeting with the capabilities of this door.
func (c *client) greet() error {
	return c.send("*", wire.Status{Type: "OK", Code: "CAPABILITY", Args: c.capText(), Text: "imapgate ready"})
}

func (c *client) goOn() error {
	c.out.Begin()
	c.out.Line("+ OK")
	return c.out.EndFlush()
}

// fault answers a line that breaks the grammar, after reading past its literals.
func (c *client) fault(m *wire.Message, f *wire.Fault) error {
	tag := string(m.Tag)
	if err := c.in.Discard(); err != nil {
		return err
	}
	return c.bad(tag, f.Text)
}

// bad answers BAD, and ends the connection when there were too many: it is not IMAP that comes, or
// somebody tries what works.
func (c *client) bad(tag, text string) error {
	if tag == "" {
		tag = "*"
	}
	if err := c.send(tag, bad("", text)); err != nil {
		return err
	}
	if c.bads++; c.bads < maxBads {
		return nil
	}
	c.farewell(bye("", "Too many invalid commands"))
	return &Refusal{Reason: "bad_commands"}
}

// ended says BYE where that makes sense and gives the reason that goes into the log.
func (c *client) ended(err error) error {
	if isTimeout(err) && c.srv.stopping.Err() != nil {
		err = errStopping // the server's end interrupts by the same deadline
	}
	switch {
	case errors.Is(err, errStopping):
		c.farewell(bye("UNAVAILABLE", "This server is going down for maintenance, please reconnect"))
		return &Refusal{Reason: "draining", Err: err}
	case isTimeout(err):
		c.farewell(bye("UNAVAILABLE", "Login took too long"))
		return &Refusal{Reason: "preauth_timeout", Err: err}
	case errors.Is(err, wire.ErrTooMuch):
		c.farewell(bye("TOOBIG", "Too much data before login"))
		return &Refusal{Reason: "too_much", Err: err}
	case errors.Is(err, io.EOF), isGone(err):
		return &Refusal{Reason: "client_left", Err: err}
	}
	return err
}

// farewell says BYE. The connection is read on for a moment before it is closed, see linger.
func (c *client) farewell(s wire.Status) {
	c.told = c.send("*", s) == nil
}

// preauthCommands is what may be said before login. A function returns a login where the command wants
// one; an error ends the connection.
var preauthCommands map[string]func(*client, context.Context, *wire.Message) (*login, error)

func init() { // the functions refer to the table's users
	preauthCommands = map[string]func(*client, context.Context, *wire.Message) (*login, error){
		"CAPABILITY":   (*client).capability,
		"NOOP":         (*client).noop,
		"ID":           (*client).identify,
		"LOGOUT":       (*client).logout,
		"STARTTLS":     (*client).startTLS,
		"LOGIN":        (*client).loginCommand,
		"AUTHENTICATE": (*client).authenticate,
	}
}

func (c *client) command(ctx context.Context, m *wire.Message) (*login, error) {
	if !takesArguments[m.Name] && len(m.Tokens) > 0 {
		return nil, c.bad(string(m.Tag), m.Name+" takes no arguments")
	}
	return preauthCommands[m.Name](c, ctx, m)
}

var takesArguments = map[string]bool{"ID": true, "LOGIN": true, "AUTHENTICATE": true}

func ok(text string) wire.Status { return wire.Status{Type: "OK", Text: text} }

func (c *client) capability(_ context.Context, m *wire.Message) (*login, error) {
	c.out.Begin()
	c.out.Line("* CAPABILITY " + c.capText())
	c.out.Status(m.Tag, ok("CAPABILITY completed"))
	return nil, c.out.EndFlush()
}

func (c *client) noop(_ context.Context, m *wire.Message) (*login, error) {
	return nil, c.send(string(m.Tag), ok("NOOP completed"))
}

func (c *client) identify(_ context.Context, m *wire.Message) (*login, error) {
	id, valid := translate.ParseID(m.Tokens)
	if !valid {
		return nil, c.bad(string(m.Tag), translate.IDUsage)
	}
	c.name = clientName(id)
	c.heardTTL(m.Tokens)
	c.out.Begin()
	writeID(c.out, string(m.Tag), c.opts.Version)
	return nil, c.out.EndFlush()
}

func (c *client) logout(_ context.Context, m *wire.Message) (*login, error) {
	c.out.Begin()
	c.out.Status([]byte("*"), bye("", "Logging out"))
	c.out.Status(m.Tag, ok("LOGOUT completed"))
	if err := c.out.EndFlush(); err != nil {
		return nil, err
	}
	return nil, errLogout
}

// startTLS upgrades the connection. Whatever stands behind the command was sent before there was any
// secrecy, perhaps by somebody else (CVE-2011-1926, CVE-2021-33515): the connection ends, and nothing
// of it is executed.
func (c *client) startTLS(ctx context.Context, m *wire.Message) (*login, error) {
	if c.ln.TLS != StartTLS || c.secure {
		return nil, c.bad(string(m.Tag), "STARTTLS is not possible here")
	}
	if c.in.Buffered() > 0 {
		return nil, &Refusal{Reason: "starttls_injection", Err: errors.New("the client sent data behind STARTTLS")}
	}
	if err := c.send(string(m.Tag), ok("Begin TLS negotiation now")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeouts.Handshake)
	defer cancel()
	if err := c.handshake(ctx); err != nil {
		return nil, err
	}
	c.conn.SetReadDeadline(time.Now().Add(c.opts.Timeouts.Preauth))
	c.name = "" // what was said in the clear is forgotten (RFC 9051 section 6.2.1)
	return nil, nil
}

// loginCommand is LOGIN (RFC 3501 section 6.2.3): each argument an atom, a quoted string or a literal.
func (c *client) loginCommand(_ context.Context, m *wire.Message) (*login, error) {
	tag := string(m.Tag)
	if len(m.Tokens) != 2 || !m.Tokens[0].IsString() || !m.Tokens[1].IsString() {
		return nil, c.bad(tag, "LOGIN takes a user name and a password")
	}
	if !c.mayLogin() {
		return nil, c.deny(tag, &Refusal{needsTLS, "privacy_required", nil})
	}
	creds := auth.Password(m.Tokens[0].Value(), m.Tokens[1].Value())
	if err := creds.Check(); err != nil {
		return nil, c.deny(tag, refuse(err))
	}
	return &login{client: c, tag: tag, mechanism: "LOGIN", creds: creds}, nil
}

// deny answers a login that failed; after too many the connection ends.
func (c *client) deny(tag string, r *Refusal) error {
	c.srv.metrics.refusals.WithLabelValues(r.Reason).Inc()
	if err := c.send(tag, r.Status); err != nil {
		return err
	}
	if r.Status.Code != unavailable.Code { // a backend that is down is not the user's fault
		c.failures++
	}
	if c.logins++; c.failures < maxFailures && c.logins < maxLogins {
		return nil
	}
	c.farewell(bye("", "Too many failed logins"))
	return &Refusal{Reason: "failed_logins", Err: r}
}

func (c *client) authenticate(_ context.Context, m *wire.Message) (*login, error) {
	tag := string(m.Tag)
	if len(m.Tokens) < 1 || len(m.Tokens) > 2 || m.Tokens[0].Kind != wire.Atom || len(m.Tokens) == 2 && m.Tokens[1].Kind != wire.Atom {
		return nil, c.bad(tag, "AUTHENTICATE takes a mechanism and at most one initial response")
	}
	mech, offered := auth.NewServer(m.Tokens[0].Value())
	switch {
	case !offered:
		return nil, c.send(tag, no("", "This mechanism is not offered"))
	case c.door.policy.Removes(imap.AuthCap(mech.Mechanism())):
		c.takenAway(imap.AuthCap(mech.Mechanism()))
		return nil, c.send(tag, no("", "This mechanism is not offered"))
	case !c.mayLogin():
		return nil, c.deny(tag, &Refusal{needsTLS, "privacy_required", nil})
	case len(m.Tokens) == 2 && c.door.policy.Removes(imap.CapSASLIR):
		return nil, c.bad(tag, c.takenAway(imap.CapSASLIR).Text)
	}
	var initial []byte
	if len(m.Tokens) == 2 {
		var err error
		if initial, err = decodeInitial(m.Tokens[1].Text); err != nil {
			return nil, c.bad(tag, "The initial response is not base64")
		}
	}
	return c.sasl(tag, mech, initial)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// clean makes text from a client fit for a log: no control characters, bounded.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s[:min(len(s), 200)])
}

package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/wire"
)

// maxUntagged bounds what a backend may say before it answers one of our commands.
const maxUntagged = 1000

// A Conn is a connection to one backend. Until Login has returned it belongs to one goroutine.
type Conn struct {
	Config *Config
	Net    *wire.Conn
	In     *wire.Responses
	Out    *wire.Writer
	// Announcement is what the backend announced last; after Login, what it announces to this user. Its
	// Caps are nil while that is not known.
	*Announcement
	// Before is what it announced before the login; nil before that.
	Before *Announcement
	// Greeting is the text that the backend said first, control characters and all.
	Greeting string
	// Last is the number of the last tag that sessions have sent commands by, for the next one to go on from:
	// no two commands of a connection have the same.
	Last uint64

	tags int
	*talk

	// net is what Net points to, in one piece of memory with the rest that lives as long as the connection: small
	// pieces among the garbage of logins keep their pages.
	net wire.Conn
}

// A talk is what is to be known of a backend while it is talked to on its user's behalf, up to the session.
type talk struct {
	origin    Origin // TTL is what the backend is told
	idTag     string // of an ID that is not answered yet
	asked     bool   // for its own ID
	identity  map[string]string
	bye       string        // text of a BYE
	relearned bool          // Caps were announced since the login command
	failure   *auth.Failure // what the backend said of the token that it refused; nil where it said nothing
	// heed sees the untagged responses that are of no use to the login; nil but for a question.
	heed func(*wire.Message)
}

// Hand lets go of what a session does not need: it gets the connection. There are still Renew and Logout.
func (b *Conn) Hand() {
	b.talk = nil
	if !b.Config.Reuse.On() { // nobody logs in behind this session
		b.Greeting = ""
	}
}

// Open connects for a client: dial, TLS, greeting, capabilities. Its errors are *Error; ErrLoop stands in
// one where the client came through too many proxies. The connection is the caller's to close.
func (c *Config) Open(ctx context.Context, from Origin) (*Conn, error) {
	ttl, err := from.next()
	if err != nil {
		return nil, c.fail(Misconfigured, "loop", err)
	}
	ctx = Within(ctx, c.connectTimeout())
	nc, err := c.dial(ctx)
	if err != nil {
		return nil, c.fail(Unreachable, "dial", err)
	}
	from.TTL = ttl
	b := &Conn{Config: c, Announcement: unknown, talk: &talk{origin: from}}
	b.Net = b.net.Init(nc)
	b.In, b.Out = wire.NewResponses(b.Net, nil), wire.NewWriter(b.Net)
	if err := b.during(ctx, b.open); err != nil {
		b.Net.Abort()
		return nil, err
	}
	return b, nil
}

func (b *Conn) open(ctx context.Context) error {
	if err := b.header(); err != nil {
		return err
	}
	if b.Config.TLS == Implicit {
		if err := b.Net.Client(ctx, b.Config.TLSConfig); err != nil {
			return b.Config.fail(Unreachable, "tls", err)
		}
	}
	if err := b.greeting(); err != nil {
		return err
	}
	if b.Config.TLS == StartTLS {
		if err := b.startTLS(ctx); err != nil {
			return err
		}
	}
	if b.Caps != nil {
		return nil
	}
	return b.askCapability()
}

func (c *Config) fail(kind Kind, phase string, err error) *Error {
	return &Error{Backend: c.Name, Phase: phase, Kind: kind, Err: err}
}

func (c *Config) refused(kind Kind, phase string, s wire.Status) *Error {
	return &Error{Backend: c.Name, Phase: phase, Kind: kind, Status: s}
}

func (b *Conn) greeting() error {
	var m wire.Message
	if err := b.In.Next(&m); err != nil {
		return b.Config.fail(Unreachable, "greeting", err)
	}
	_, _, text := wire.Code(m.Text)
	b.Greeting = b.Config.memory.greeted(text)
	switch {
	case m.Untagged() && m.Name == "OK":
		b.learn(&m)
		return b.skip("greeting")
	case m.Untagged() && m.Name == "PREAUTH":
		return b.Config.refused(Misconfigured, "greeting", m.Status())
	}
	return b.Config.refused(Unreachable, "greeting", m.Status())
}

func (b *Conn) skip(phase string) error {
	if err := b.In.Skip(); err != nil {
		return b.Config.fail(Unreachable, phase, err)
	}
	return nil
}

// startTLS upgrades the connection. Nothing may stand behind the backend's answer: it could have been
// put there by somebody on the way (CVE-2021-29969 and its kin).
func (b *Conn) startTLS(ctx context.Context) error {
	if b.Caps != nil && !b.Caps.Has(imap.CapStartTLS) {
		return b.Config.fail(Misconfigured, "starttls", errors.New("the backend does not offer STARTTLS"))
	}
	s, err := b.run("starttls", wire.Command("STARTTLS"))
	if err != nil {
		return err
	}
	if !s.OK() {
		return b.Config.refused(Misconfigured, "starttls", s)
	}
	if b.In.Buffered() > 0 {
		return b.Config.fail(Unreachable, "starttls", errors.New("the backend sent plain text behind its answer to STARTTLS"))
	}
	if err := b.Net.Client(ctx, b.Config.TLSConfig); err != nil {
		return b.Config.fail(Unreachable, "tls", err)
	}
	b.Announcement = unknown
	return nil
}

func (b *Conn) askCapability() error {
	s, err := b.run("capability", wire.Command("CAPABILITY"))
	if err != nil {
		return err
	}
	if !s.OK() || b.Caps == nil {
		return b.Config.refused(Unreachable, "capability", s)
	}
	return nil
}

// run sends a command whose arguments all fit on one line and returns its tagged status.
func (b *Conn) run(phase string, m *wire.Message) (wire.Status, error) {
	tag := b.nextTag()
	b.Out.Begin()
	b.Out.Head(tag, m.Name)
	b.Out.Tokens(m.Tokens)
	b.Out.CRLF()
	if err := b.Out.EndFlush(); err != nil {
		return wire.Status{}, b.Config.fail(Unreachable, phase, err)
	}
	return b.answer(phase, tag, nil)
}

// nextTag gives tags that no session uses for its own commands, so that a late answer is never taken
// for one of a user's.
func (b *Conn) nextTag() []byte {
	b.tags++
	return fmt.Appendf(nil, "l%d", b.tags)
}

// maxChallenge bounds what is kept of a continuation request, in octets. What is longer is no challenge that
// we understand.
const maxChallenge = 8 << 10

// answer reads up to the tagged answer. goOn is called with the text of each continuation request; nil means
// that none may come.
func (b *Conn) answer(phase string, tag []byte, goOn func(text string) error) (wire.Status, error) {
	var m wire.Message
	for range maxUntagged {
		if err := b.In.Next(&m); err != nil {
			return wire.Status{}, b.Config.fail(Unreachable, phase, b.ended(err))
		}
		switch {
		case m.Untagged():
			if err := b.untagged(&m); err != nil {
				return wire.Status{}, b.Config.fail(Unreachable, phase, err)
			}
			continue
		case m.Continuation() && m.For == nil && goOn != nil:
			text := string(m.Text[:min(len(m.Text), maxChallenge)])
			if err := b.skip(phase); err != nil {
				return wire.Status{}, err
			}
			if err := goOn(text); err != nil {
				return wire.Status{}, b.Config.fail(Unreachable, phase, err)
			}
			continue
		case b.idTag != "" && string(m.Tag) == b.idTag:
			if err := b.forwarded(); err != nil {
				return wire.Status{}, err
			}
			continue
		case string(m.Tag) == string(tag):
			s := wire.Status{Type: "OK", Code: "CAPABILITY"}
			if !b.learn(&m) || m.Name != "OK" { // else nobody wants to know more of it
				s = m.Status()
			}
			return s, b.skip(phase)
		}
		return wire.Status{}, b.Config.fail(Unreachable, phase, &wire.Desync{Text: "unexpected tag or continuation request"})
	}
	return wire.Status{}, b.Config.fail(Unreachable, phase, &wire.Desync{Text: "too many responses before an answer"})
}

// ended joins what a backend said in its BYE with how the connection ended.
func (b *Conn) ended(err error) error {
	if b.bye != "" && errors.Is(err, io.EOF) {
		return fmt.Errorf("BYE %s: %w", b.bye, err)
	}
	return err
}

func (b *Conn) untagged(m *wire.Message) error {
	switch m.Name {
	case "CAPABILITY":
		if err := b.In.Load(m); err == nil {
			var list []byte
			for _, t := range m.Tokens {
				if t.Kind == wire.Atom || t.Kind == wire.Quoted {
					list = append(append(list, t.Value()...), ' ')
				}
			}
			b.announced(bytes.TrimSuffix(list, []byte(" ")))
		}
	case "ID":
		b.identified(m)
	case "BYE":
		b.bye = string(m.Text)
	case "OK":
		b.learn(m)
	default:
		if b.heed != nil && b.In.Load(m) == nil {
			b.heed(m)
		}
	}
	return b.In.Skip()
}

package backend

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-sasl"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/wire"
)

// learn takes the capabilities out of the code of a status response (RFC 3501 section 7.1); false where it has
// none.
func (b *Conn) learn(m *wire.Message) bool {
	code, args, _ := wire.Code(m.Text)
	if code != "CAPABILITY" {
		return false
	}
	b.announced(args)
	return true
}

func (b *Conn) announced(list []byte) {
	b.Announcement = b.Config.memory.announced(list)
	b.relearned = true
}

// capName is a capability in the spelling of the vocabulary: names are case-insensitive.
func capName(s string) imap.Cap {
	up := strings.ToUpper(s)
	switch up {
	case "IMAP4REV1":
		return imap.CapIMAP4rev1
	case "IMAP4REV2":
		return imap.CapIMAP4rev2
	}
	for _, family := range [...]string{"RIGHTS=", "XCOURIEROUTBOX="} { // case means something in the value
		if strings.HasPrefix(up, family) {
			return imap.Cap(family + s[len(family):])
		}
	}
	return imap.Cap(up)
}

// Login logs in, in as few round trips as the backend's capabilities allow, and reads the capabilities
// that it announces afterwards, and what they leave open. Its errors are *Error.
func (b *Conn) Login(ctx context.Context, creds auth.Credentials) error {
	return discreet(b.during(ctx, func(context.Context) error {
		if err := b.login(creds); err != nil {
			return err
		}
		return b.ask()
	}), creds)
}

func (b *Conn) login(creds auth.Credentials) error {
	method, err := b.method(creds)
	if err != nil {
		return err
	}
	b.Before = b.Announcement
	b.relearned = false
	if err := b.forward(); err != nil {
		return b.Config.fail(Unreachable, "id", err)
	}
	s, err := method(creds)
	if err != nil {
		return b.heard(err)
	}
	if !s.OK() {
		return b.refusal(s)
	}
	if b.idTag != "" {
		return b.Config.fail(Unreachable, "id", &wire.Desync{Text: "the login was answered before the ID that was sent first"})
	}
	if b.relearned {
		return nil
	}
	b.Announcement = unknown // they differ after the login
	return b.askCapability()
}

// NonSync reports whether a literal of size octets may go to the backend as {n+} (RFC 7888).
func (b *Conn) NonSync(size int64) bool {
	return b.Caps.Has("LITERAL+") || size <= 4096 && b.Caps.Has(imap.CapLiteralMinus)
}

// method chooses how to log in. LOGIN may not carry UTF-8 (RFC 6855 section 5). A token is sent by the
// mechanisms for tokens alone, and a password never by these.
func (b *Conn) method(creds auth.Credentials) (func(auth.Credentials) (wire.Status, error), error) {
	if _, ok := creds.Bearer(); ok {
		if _, ok := b.bearerMechanism(creds); !ok {
			return nil, b.Config.fail(Misconfigured, "login", errNoBearer)
		}
		return b.bearer, nil
	}
	user, password := wire.String(creds.User), wire.String(creds.Reveal())
	oneLine := user.Kind == wire.Quoted && password.Kind == wire.Quoted
	nonSync := b.NonSync(max(user.Size, password.Size))
	mayLogin := !b.Caps.Has(imap.CapLoginDisabled)
	mayPlain := b.Caps.Has(imap.AuthCap("PLAIN"))
	switch {
	case mayPlain && b.Caps.Has(imap.CapSASLIR):
		return b.plainInitial, nil
	case mayLogin && (oneLine || nonSync && isASCII(creds.User+creds.Reveal())):
		return b.loginCommand, nil
	case mayPlain:
		return b.plain, nil
	case mayLogin:
		return b.loginCommand, nil
	}
	return nil, b.Config.fail(Misconfigured, "login", errNoMethod)
}

func (b *Conn) plainInitial(creds auth.Credentials) (wire.Status, error) {
	_, response, err := auth.PlainClient(creds).Start()
	if err != nil {
		return wire.Status{}, b.Config.fail(Misconfigured, "login", err)
	}
	tag := b.nextTag()
	line := string(tag) + " AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString(response)
	if err := b.line(line); err != nil {
		return wire.Status{}, b.Config.fail(Unreachable, "login", err)
	}
	return b.answer("login", tag, b.cancel)
}

// cancel ends an exchange that asks for more than the mechanism has (RFC 3501 section 6.2.2).
func (b *Conn) cancel(string) error { return b.line("*") }

func (b *Conn) plain(creds auth.Credentials) (wire.Status, error) {
	_, response, err := auth.PlainClient(creds).Start()
	if err != nil {
		return wire.Status{}, b.Config.fail(Misconfigured, "login", err)
	}
	tag := b.nextTag()
	if err := b.line(string(tag) + " AUTHENTICATE PLAIN"); err != nil {
		return wire.Status{}, b.Config.fail(Unreachable, "login", err)
	}
	sent := false
	return b.answer("login", tag, func(challenge string) error {
		if sent {
			return b.cancel(challenge)
		}
		sent = true
		return b.line(base64.StdEncoding.EncodeToString(response))
	})
}

func (b *Conn) line(line string) error {
	b.Out.Begin()
	b.Out.Line(line)
	return b.Out.EndFlush()
}

// loginCommand sends LOGIN. Each literal that the backend must grant first waits for its "+".
func (b *Conn) loginCommand(creds auth.Credentials) (wire.Status, error) {
	tag := b.nextTag()
	x := &loginArgs{b: b, args: []wire.Token{wire.String(creds.User), wire.String(creds.Reveal())}}
	b.Out.Begin()
	b.Out.Head(tag, "LOGIN")
	if err := x.next(); err != nil {
		return wire.Status{}, b.Config.fail(Unreachable, "login", err)
	}
	return b.answer("login", tag, func(string) error {
		if x.held == nil {
			return &wire.Desync{Text: "continuation request that nothing asked for"}
		}
		b.Out.Begin()
		return x.next()
	})
}

// loginArgs are the arguments of LOGIN that were not sent yet.
type loginArgs struct {
	b    *Conn
	args []wire.Token
	held []byte // content of the literal that waits for "+"; nil where none does
}

// next writes up to the next literal that has to be granted, or to the command's end. The Writer is
// locked by the caller.
func (x *loginArgs) next() error {
	out := x.b.Out
	out.Write(x.held)
	x.held = nil
	for len(x.args) > 0 {
		t := x.args[0]
		x.args = x.args[1:]
		if t.Kind != wire.Literal {
			out.Token(&t)
			continue
		}
		t.NonSync = x.b.NonSync(t.Size)
		out.LiteralHead(t)
		if !t.NonSync {
			x.held = t.Text
			return out.EndFlush()
		}
		out.Write(t.Text)
	}
	out.CRLF()
	return out.EndFlush()
}

var errNoMethod = errors.New("the backend offers neither AUTHENTICATE PLAIN nor LOGIN; it may want TLS first")

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// heard marks an error of the login as final where the backend has said anything that could be about the
// credentials: a BYE that is not of its being unavailable, or what cannot be understood.
func (b *Conn) heard(err error) error {
	var e *Error
	var desync *wire.Desync
	if errors.As(err, &e) {
		said := b.bye != "" && wire.ParseStatus("BYE", []byte(b.bye)).Code != "UNAVAILABLE"
		e.Final = said || b.failure != nil || errors.As(err, &desync)
	}
	return err
}

var errRepeats = errors.New("what the backend said is left out, because it repeats the password or token")

// discreet leaves out of an error what the backend said, where it repeats the password or token, as servers
// do that show a command which they did not understand.
func discreet(err error, creds auth.Credentials) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !repeats(err.Error(), creds) {
		return err
	}
	status := wire.Status{Type: e.Status.Type}
	if !repeats(e.Status.Code, creds) {
		status.Code = e.Status.Code
	}
	return &Error{Backend: e.Backend, Phase: e.Phase, Kind: e.Kind, Status: status, Err: errRepeats, Final: e.Final}
}

// repeats reports whether a text holds the password or token, or a part of it, in a form in which it was sent
// or in another case.
func repeats(said string, creds auth.Credentials) bool {
	said = strings.ToLower(said)
	for _, secret := range sentForms(creds) {
		if secret = strings.ToLower(secret); secret != "" && (strings.Contains(said, secret) || quotes(said, secret)) {
			return true
		}
	}
	return false
}

const (
	telltale  = 8 // octets of a secret, anywhere in a text, that are no accident
	cutSecret = 3 // or so many of its beginning, where the text ends: some servers cut what they show
)

// quotes reports whether a text holds a part of a secret.
func quotes(said, secret string) bool {
	parts := make(map[string]bool)
	for i := 0; i+telltale <= len(secret); i++ {
		parts[secret[i:i+telltale]] = true
	}
	for i := 0; i+telltale <= len(said); i++ {
		if parts[said[i:i+telltale]] {
			return true
		}
	}
	said = strings.TrimRight(said, ` ."'`)
	for n := min(len(secret), telltale) - 1; n >= cutSecret; n-- {
		if strings.HasSuffix(said, secret[:n]) {
			return true
		}
	}
	return false
}

// sentForms are the forms in which a password or token may have been sent.
func sentForms(creds auth.Credentials) []string {
	forms := []string{creds.Reveal(), string(wire.String(creds.Reveal()).Text)}
	clients := []sasl.Client{auth.PlainClient(creds)}
	if _, ok := creds.Bearer(); ok {
		clients = []sasl.Client{auth.BearerClient(auth.XOAuth2, creds), auth.BearerClient(auth.OAuthBearer, creds)}
	}
	for _, c := range clients {
		_, response, _ := c.Start()
		forms = append(forms, base64.StdEncoding.EncodeToString(response))
	}
	return forms
}

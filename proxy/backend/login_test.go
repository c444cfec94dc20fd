package backend

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/wire"
)

const (
	welcome  = "l1 OK [CAPABILITY IMAP4rev1 IDLE] in"
	response = "AHJpbGV5AGZpcmV0cnVjaw==" // NUL riley NUL firetruck
)

var (
	riley = auth.Password("riley", "firetruck")
	long  = strings.Repeat("x", 1001) // too long to be quoted
)

// A method is how the proxy logs in where a backend has caps: the exact octets of both sides.
type method struct {
	name, caps     string
	user, password string // riley and firetruck by default
	script         imaptest.Script
}

var methods = []method{
	{"PLAIN in one line", "SASL-IR AUTH=PLAIN", "", "", imaptest.Script{expect("l1 AUTHENTICATE PLAIN " + response), send(welcome)}},
	{"LOGIN in one line", "", "", "", imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), send(welcome)}},
	{"LOGIN before PLAIN in two", "AUTH=PLAIN", "", "", imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), send(welcome)}},
	{"PLAIN in two", "AUTH=PLAIN LOGINDISABLED", "", "",
		imaptest.Script{expect("l1 AUTHENTICATE PLAIN"), nothingMore, send("+"), expect(response), send(welcome)}},
	{"SASL-IR without PLAIN", "SASL-IR AUTH=LOGIN", "", "", imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), send(welcome)}},
	{"special characters", "", `ri"ley`, `fire\truck {3}`, imaptest.Script{expect(`l1 LOGIN "ri\"ley" "fire\\truck {3}"`), send(welcome)}},
	{"empty password", "", "riley", "", imaptest.Script{expect(`l1 LOGIN "riley" ""`), send(welcome)}},
	{"LITERAL+", "LITERAL+ AUTH=PLAIN", "riley", long,
		imaptest.Script{expect(`l1 LOGIN "riley" {1001+}`), expect(long), send(welcome)}},
	{"LITERAL-", "LITERAL- AUTH=PLAIN", "riley", long[:900] + "\t" + long[:100],
		imaptest.Script{expect(`l1 LOGIN "riley" {1001+}`), expect(long[:900] + "\t" + long[:100]), send(welcome)}},
	{"PLAIN before literals that wait", "AUTH=PLAIN", "riley", "fire\ttruck",
		imaptest.Script{expect("l1 AUTHENTICATE PLAIN"), send("+ "), expect("AHJpbGV5AGZpcmUJdHJ1Y2s="), send(welcome)}},
	{"literals that wait", "", long, "fire\ttruck", imaptest.Script{
		expect(`l1 LOGIN {1001}`), nothingMore, send("+ user"), imaptest.ExpectBytes(long),
		expect(` {10}`), nothingMore, send("+ password"), imaptest.ExpectBytes("fire\ttruck"), expect(""), send(welcome)}},
	{"literal before a quoted string", "", "ri\tley", "firetruck", imaptest.Script{
		expect(`l1 LOGIN {6}`), nothingMore, send("+ user"), expect("ri\tley \"firetruck\""), send(welcome)}},
	{"UTF-8 by PLAIN", "AUTH=PLAIN LITERAL+", "jürgen", "größe",
		imaptest.Script{expect("l1 AUTHENTICATE PLAIN"), send("+ "), expect("AGrDvHJnZW4AZ3LDtsOfZQ=="), send(welcome)}},
	{"UTF-8 where nothing else is left", "LITERAL+", "jürgen", "größe",
		imaptest.Script{expect("l1 LOGIN {7+}"), expect("jürgen {7+}"), expect("größe"), send(welcome)}},
}

func TestMethods(t *testing.T) {
	for _, m := range methods {
		t.Run(m.name, func(t *testing.T) {
			if m.user == "" {
				m.user, m.password = "riley", "firetruck"
			}
			script := append(imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 " + m.caps + "] hi")}, m.script...)
			b, err := login(t, plays(t, script...), auth.Password(m.user, m.password))
			if err != nil || names(b.Caps) != "IDLE IMAP4rev1" {
				t.Errorf("capabilities %s, error %v", names(b.Caps), err)
			}
		})
	}
}

// What cannot be sent is not begun: the script ends with the greeting.
func TestNoMethod(t *testing.T) {
	for _, c := range []struct {
		name, caps string
		creds      auth.Credentials
		text       string
		cause      error
	}{
		{"LOGINDISABLED", "LOGINDISABLED STARTTLS", riley, "may want TLS first", errNoMethod},
		{"NUL", "AUTH=PLAIN SASL-IR", auth.Password("riley", "fire\x00truck"), "NUL", auth.ErrMalformed},
		{"NUL in two lines", "AUTH=PLAIN LOGINDISABLED", auth.Password("ri\x00ley", "firetruck"), "NUL", auth.ErrMalformed},
		{"password that is too long for LITERAL-", "AUTH=PLAIN LITERAL-", auth.Password("riley", strings.Repeat("x", 4097)), "4096", auth.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := login(t, plays(t, send("* OK [CAPABILITY IMAP4rev1 "+c.caps+"] hi"), imaptest.ExpectEOF()), c.creds)
			failing{Misconfigured, "login", c.text}.check(t, err)
			if !errors.Is(err, c.cause) {
				t.Errorf("%v is not %v", err, c.cause)
			}
		})
	}
}

// Where the capabilities of a user come from, after the login.
func TestCapabilitiesAfterLogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer imaptest.Script
	}{
		{"answer's code", imaptest.Script{send("l1 OK [CAPABILITY IMAP4rev1 MOVE] in")}},
		{"response before it", imaptest.Script{send("* CAPABILITY IMAP4rev1 MOVE", "l1 OK in")}},
		{"code before it", imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 MOVE] news", "l1 OK in")}},
		{"command", imaptest.Script{send("l1 OK in"), expect("l2 CAPABILITY"), send("* CAPABILITY IMAP4rev1 MOVE", "l2 OK done")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := append(imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 IDLE] hi"), expect(`l1 LOGIN "riley" "firetruck"`)}, c.answer...)
			b, err := login(t, plays(t, script...), riley)
			if err != nil || names(b.Caps) != "IMAP4rev1 MOVE" {
				t.Errorf("capabilities %s, error %v", names(b.Caps), err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		_, err := login(t, plays(t, send("* OK [CAPABILITY IMAP4rev1] hi"), expect(`l1 LOGIN "riley" "firetruck"`),
			send("l1 OK in"), expect("l2 CAPABILITY"), send("l2 NO nothing")), riley)
		failing{Unreachable, "capability", "answered NO nothing"}.check(t, err)
	})
	t.Run("none", func(t *testing.T) { // those of before do not count
		_, err := login(t, plays(t, send("* OK [CAPABILITY IMAP4rev1] hi"), expect(`l1 LOGIN "riley" "firetruck"`),
			send("l1 OK in"), expect("l2 CAPABILITY"), send("l2 OK done")), riley)
		failing{Unreachable, "capability", "answered OK done"}.check(t, err)
	})
}

// The kinds of the response codes of RFC 5530 section 3.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		answer string
		kind   Kind
	}{
		{"NO wrong", Denied},
		{"NO [AUTHENTICATIONFAILED] wrong", Denied},
		{"NO [AUTHORIZATIONFAILED] wrong", Denied},
		{"NO [EXPIRED] old", Denied},
		{"NO [ALERT] locked", Denied},
		{"NO [UNAVAILABLE] later", Unavailable},
		{"NO [unavailable] later", Unavailable},
		{"NO [SERVERBUG] oops", Unavailable},
		{"NO [INUSE] busy", Unavailable},
		{"NO [CONTACTADMIN] call", Unavailable},
		{"NO [REFERRAL imap://other/] there", Unavailable},
		{"NO [LIMIT] too many", Limited},
		{"NO [PRIVACYREQUIRED] TLS", Misconfigured},
		{"BAD what?", Misconfigured},
		{"BAD [LIMIT] what?", Misconfigured},
	} {
		t.Run(c.answer, func(t *testing.T) {
			_, err := login(t, plays(t, send("* OK [CAPABILITY IMAP4rev1] hi"), expect(`l1 LOGIN "riley" "firetruck"`), send("l1 "+c.answer)), riley)
			typ, text, _ := strings.Cut(c.answer, " ")
			e := failing{c.kind, "login", "backend b: login: answered " + typ}.check(t, err)
			if e.Status != wire.ParseStatus(typ, []byte(text)) || e.Unwrap() != nil {
				t.Errorf("status %+v, cause %v", e.Status, e.Err)
			}
		})
	}
}

// A backend that asks for more, or for something else, than the method has.
func TestOddExchanges(t *testing.T) {
	for _, c := range []struct {
		name, caps, password string
		script               imaptest.Script
		want                 failing
	}{
		{"more after the initial response", "AUTH=PLAIN SASL-IR", "firetruck",
			imaptest.Script{expect("l1 AUTHENTICATE PLAIN " + response), send("+ "), expect("*"), send("l1 BAD cancelled")},
			failing{Misconfigured, "login", "answered BAD cancelled"}},
		{"more after the response", "AUTH=PLAIN LOGINDISABLED", "firetruck",
			imaptest.Script{expect("l1 AUTHENTICATE PLAIN"), send("+ "), expect(response), send("+ "), expect("*"), send("l1 NO cancelled")},
			failing{Denied, "login", "answered NO cancelled"}},
		{"continuation of a whole LOGIN", "", "firetruck",
			imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), send("+ go on"), imaptest.ExpectEOF()},
			failing{Unreachable, "login", "out of sync: continuation request that nothing asked for"}},
		{"one continuation too many", "", "fire\ttruck",
			imaptest.Script{expect(`l1 LOGIN "riley" {10}`), send("+ "), expect("fire\ttruck"), send("+ "), imaptest.ExpectEOF()},
			failing{Unreachable, "login", "out of sync"}},
		{"literal refused", "", "fire\ttruck",
			imaptest.Script{expect(`l1 LOGIN "riley" {10}`), send("l1 NO [LIMIT] no literals"), imaptest.ExpectEOF()},
			failing{Limited, "login", "no literals"}},
		{"unknown tag", "", "firetruck",
			imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), send("l2 OK in"), imaptest.ExpectEOF()},
			failing{Unreachable, "login", "out of sync"}},
		{"BYE", "", "firetruck",
			imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), send("* BYE [UNAVAILABLE] overloaded")},
			failing{Unreachable, "login", "login: BYE [UNAVAILABLE] overloaded: EOF"}},
		{"reset", "", "firetruck",
			imaptest.Script{expect(`l1 LOGIN "riley" "firetruck"`), imaptest.Vanish()},
			failing{Unreachable, "login", "connection reset"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := append(imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 " + c.caps + "] hi")}, c.script...)
			b := opened(t, plays(t, script...))
			err := b.Login(t.Context(), auth.Password("riley", c.password))
			b.Net.Abort() // as the owner does; some scripts wait for it
			c.want.check(t, err)
		})
	}
}

// A backend that is gone when the first octet is to be sent.
func TestLoginAfterEnd(t *testing.T) {
	for _, caps := range []string{"", "AUTH=PLAIN SASL-IR", "AUTH=PLAIN LOGINDISABLED"} {
		t.Run(caps, func(t *testing.T) {
			gone := make(chan struct{})
			b := opened(t, plays(t, send("* OK [CAPABILITY IMAP4rev1 "+caps+"] hi"), imaptest.Vanish(), func(*imaptest.Peer) error { close(gone); return nil }))
			<-gone
			err := b.Login(t.Context(), riley)
			var w *wire.WriteError
			failing{Unreachable, "login", ""}.check(t, err)
			if !errors.As(err, &w) {
				t.Errorf("%v has lost its cause", err)
			}
		})
	}
}

// RFC 7888 sections 4 and 5.
func TestNonSync(t *testing.T) {
	for _, c := range []struct {
		cap  imap.Cap
		size int64
		want bool
	}{
		{"", 0, false},
		{"LITERAL+", 0, true},
		{"LITERAL+", 1 << 40, true},
		{"LITERAL-", 4096, true},
		{"LITERAL-", 4097, false},
	} {
		t.Run(fmt.Sprint(c.cap, c.size), func(t *testing.T) {
			if b := (&Conn{Announcement: Announce(string(c.cap))}); b.NonSync(c.size) != c.want {
				t.Errorf("NonSync is %v", !c.want)
			}
		})
	}
}

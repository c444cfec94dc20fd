package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

var _ = imaptest.UpdateFlag()

// TestTranscripts plays testdata/*.txt: whole conversations, compared to the last octet. The first
// section of each file that needs one is the login with which the others begin.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			imaptest.Transcripts(t, file, startStage)
		})
	}
}

// startStage starts the server of a section behind a client's connection.
func startStage(t *testing.T, sec imaptest.Section) imaptest.Stage {
	t.Helper()
	th := newTheatre(t, sec.Options)
	return imaptest.Stage{Client: th.dial(t), Listener: th.backends}
}

// playText plays sections that are made by the test, because they would be too long for a file.
func playText(t *testing.T, text string) {
	t.Helper()
	sections, err := imaptest.ParseTranscript(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, sec := range sections {
		t.Run(sec.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				imaptest.Compare(t, sec, imaptest.Play(t, sec, startStage(t, sec)))
			})
		})
	}
}

func TestStartTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door, pool := secureDoor(t, StartTLS)
		th := startWith(t, door)
		imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
			imaptest.Send("l1 OK [CAPABILITY IMAP4rev1] in"),
			imaptest.Expect("p1 LOGOUT"),
		}.Start(t, th.backends)
		th.client(t,
			imaptest.Expect("* OK [CAPABILITY "+capsBefore+" STARTTLS LOGINDISABLED] imapgate ready"),
			imaptest.Send("a LOGIN riley firetruck"),
			imaptest.Expect("a NO [PRIVACYREQUIRED] Passwords are accepted only over TLS"),
			imaptest.Send("b STARTTLS now"),
			imaptest.Expect("b BAD STARTTLS takes no arguments"),
			imaptest.Send("c STARTTLS"),
			imaptest.Expect("c OK Begin TLS negotiation now"),
			upgrade(pool),
			imaptest.Send("d CAPABILITY", "e STARTTLS"),
			imaptest.Expect("* CAPABILITY "+capsBefore+" AUTH=PLAIN AUTH=LOGIN"),
			imaptest.Expect("d OK CAPABILITY completed"),
			imaptest.Expect("e BAD STARTTLS is not possible here"),
			imaptest.Send("f LOGIN riley firetruck"),
			imaptest.Expect("f OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS] Logged in"),
		)
	})
}

// Text in the segment of STARTTLS was sent before there was any secrecy, perhaps by somebody else.
func TestStartTLSInjection(t *testing.T) {
	for _, behind := range []string{"b LOGIN riley firetruck\r\n", "b", "\r\n", "\x16\x03\x01"} {
		synctest.Test(t, func(t *testing.T) {
			door, _ := secureDoor(t, StartTLS)
			th := startWith(t, door)
			th.client(t,
				imaptest.Match(`^\* OK `),
				imaptest.SendRaw("a STARTTLS\r\n"+behind),
				imaptest.ExpectEOF(),
			)
			if c, asked := th.backends.TryAccept(); asked {
				t.Errorf("%q: the backend was asked", behind)
				c.Close()
			}
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door, pool := secureDoor(t, ImplicitTLS)
		th := startWith(t, door)
		th.client(t, upgrade(pool),
			imaptest.Expect("* OK [CAPABILITY "+capsBefore+" AUTH=PLAIN AUTH=LOGIN] imapgate ready"),
			imaptest.Send("a STARTTLS"),
			imaptest.Expect("a BAD STARTTLS is not possible here"),
			imaptest.Send("b LOGOUT"),
			imaptest.Expect("* BYE Logging out"),
			imaptest.Expect("b OK LOGOUT completed"),
			imaptest.ExpectEOF(),
		)
	})
}

// TestBackendTLS is the other leg: what the backend said in the clear is forgotten or refused.
func TestBackendTLS(t *testing.T) {
	cert, pool := imaptest.Certificate(t)
	_, strangers := imaptest.Certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	const (
		greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] ready"
		in       = "a OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS] Logged in"
		away     = "a NO [UNAVAILABLE] Mail is temporarily unavailable, try again later"
	)
	secure := []imaptest.Step{
		imaptest.Expect("l2 CAPABILITY"),
		imaptest.Send("* CAPABILITY IMAP4rev1", "l2 OK done"),
		imaptest.Expect(`l3 LOGIN "riley" "firetruck"`),
		imaptest.Send("l3 OK [CAPABILITY IMAP4rev1] in"),
		imaptest.Expect("p1 LOGOUT"),
	}
	asked := []imaptest.Step{imaptest.Send(greeting), imaptest.Expect("l1 STARTTLS")}
	for _, tt := range []struct {
		name   string
		mode   backend.Mode
		roots  *x509.CertPool
		script imaptest.Script
		answer string
	}{
		{"secured", backend.StartTLS, pool,
			slices.Concat(asked, imaptest.Script{imaptest.Send("l1 OK go"), imaptest.StartTLS(server)}, secure), in},
		{"text behind the answer", backend.StartTLS, pool,
			slices.Concat(asked, imaptest.Script{imaptest.SendRaw("l1 OK go\r\n* CAPABILITY EVIL\r\n"), imaptest.ExpectEOF()}), away},
		{"a piece behind the answer", backend.StartTLS, pool,
			slices.Concat(asked, imaptest.Script{imaptest.SendRaw("l1 OK go\r\n*"), imaptest.ExpectEOF()}), away},
		{"refused", backend.StartTLS, pool,
			slices.Concat(asked, imaptest.Script{imaptest.Send("l1 NO not today"), imaptest.ExpectEOF()}), away},
		{"not offered", backend.StartTLS, pool,
			imaptest.Script{imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"), imaptest.ExpectEOF()}, away},
		{"PREAUTH", backend.StartTLS, pool,
			imaptest.Script{imaptest.Send("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] ready"), imaptest.ExpectEOF()}, away},
		{"a certificate that nobody knows", backend.StartTLS, strangers,
			slices.Concat(asked, imaptest.Script{imaptest.Send("l1 OK go"), notTrusted(server)}), away},
		{"from the first byte", backend.Implicit, pool,
			slices.Concat(imaptest.Script{imaptest.StartTLS(server), imaptest.Send("* OK ready"),
				imaptest.Expect("l1 CAPABILITY"), imaptest.Send("* CAPABILITY IMAP4rev1", "l1 OK done"),
				imaptest.Expect(`l2 LOGIN "riley" "firetruck"`), imaptest.Send("l2 OK [CAPABILITY IMAP4rev1] in"), imaptest.Expect("p1 LOGOUT")}), in},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				th := startWith(t, func(th *theatre) {
					th.backend.TLS = tt.mode
					th.backend.TLSConfig = &tls.Config{RootCAs: tt.roots, ServerName: "imap.example.org"}
				})
				tt.script.Start(t, th.backends)
				th.client(t, imaptest.Match(`^\* OK `), imaptest.Send("a LOGIN riley firetruck"), imaptest.Expect(tt.answer))
			})
		})
	}
}

// notTrusted is the server's side of a handshake that the client breaks off.
func notTrusted(config *tls.Config) imaptest.Step {
	return func(p *imaptest.Peer) error {
		if err := imaptest.StartTLS(config)(p); err == nil {
			return errors.New("the certificate was taken")
		}
		return nil
	}
}

// TestLong plays what is longer than the proxy's buffers, and fits into those of the connections.
func TestLong(t *testing.T) {
	const login = "=== login\nc: * OK [CAPABILITY IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=LOGIN] imapgate ready\n" +
		"C: a LOGIN riley firetruck\nb: * OK [CAPABILITY IMAP4rev1] ready\nB: l1 LOGIN \"riley\" \"firetruck\"\n" +
		"b: l1 OK [CAPABILITY IMAP4rev1] in\nc: a OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS] Logged in\n\n"
	numbers := strings.Repeat(" 1234567", 5000)
	quoted := strings.Repeat(`"a {3} \" b" `, 3000)
	literal := strings.Repeat("0123456789abcdef", 3000)
	for name, line := range map[string]string{
		"a list of numbers":        "* SEARCH" + numbers,
		"quoted strings":           "* 1 FETCH (X " + quoted + ")",
		"a literal behind it":      "* 1 FETCH (X " + quoted + " BODY[] {2}\nb: )) FLAGS ())",
		"a literal":                "* 1 FETCH (BODY[] {48000}\nb: " + literal + ")",
		"a name nobody knows":      "* XSOMETHING " + quoted,
		"a status with much to it": "* OK [ALERT] " + literal,
	} {
		heard := "c: " + strings.ReplaceAll(line, "\nb: ", "\nc: ")
		joined := "b: " + strings.ReplaceAll(line, "\nb: ", "\nb+: ")
		t.Run(name, func(t *testing.T) {
			playText(t, login+"=== long prefix=login\nC: a NOOP\nB: p1 NOOP\n"+joined+"\n"+heard+"\nb: p1 OK done\nc: a OK done\n")
		})
	}
	set := strings.Repeat("1234567,", 5000) + "1"
	for name, text := range map[string]string{
		"a rewritten response": "C: a UID SEARCH RETURN (ALL) ALL\nB: p1 UID SEARCH RETURN (ALL) ALL\n" +
			"b: * ESEARCH (TAG \"p1\") UID ALL " + set + "\nc: * ESEARCH (TAG \"a\") UID ALL " + set + "\nb: p1 OK done\nc: a OK done\n",
		"a command": "C: a UID FETCH " + set + " FLAGS\nB: p1 UID FETCH " + set + " FLAGS\nb: p1 OK done\nc: a OK done\n",
		"a message": "C: a APPEND INBOX {48000+}\nC+: " + literal + "\nB: p1 APPEND INBOX {48000}\n" +
			"b: + go on\nB: " + literal + "\nb: p1 OK done\nc: a OK done\n",
	} {
		t.Run(name, func(t *testing.T) { playText(t, login+"=== long prefix=login\n"+text) })
	}
}

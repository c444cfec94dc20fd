package backend

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

const token = "ya29.T0ken-_~+/=="

var (
	asXOAuth2 = base64.StdEncoding.EncodeToString([]byte("user=riley\x01auth=Bearer " + token + "\x01\x01"))
	asBearer  = base64.StdEncoding.EncodeToString([]byte("n,a=riley,\x01auth=Bearer " + token + "\x01\x01"))
	refusing  = "+ " + base64.StdEncoding.EncodeToString([]byte(`{"status":"invalid_token","scope":"mail","openid-configuration":"https://id.example/"}`))
)

// A token goes by the client's mechanism where the backend has it, else by the other.
func TestBearerMethods(t *testing.T) {
	for _, c := range []struct {
		name, caps, mechanism string
		script                imaptest.Script
	}{
		{"XOAUTH2", "AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", auth.XOAuth2, imaptest.Script{expect("l1 AUTHENTICATE XOAUTH2 " + asXOAuth2)}},
		{"OAUTHBEARER", "AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", auth.OAuthBearer, imaptest.Script{expect("l1 AUTHENTICATE OAUTHBEARER " + asBearer)}},
		{"XOAUTH2 for OAUTHBEARER", "auth=xoauth2 SASL-IR", auth.OAuthBearer, imaptest.Script{expect("l1 AUTHENTICATE XOAUTH2 " + asXOAuth2)}},
		{"OAUTHBEARER for XOAUTH2", "AUTH=OAUTHBEARER SASL-IR LOGINDISABLED", auth.XOAuth2, imaptest.Script{expect("l1 AUTHENTICATE OAUTHBEARER " + asBearer)}},
		{"XOAUTH2 in two lines", "AUTH=XOAUTH2", auth.XOAuth2, imaptest.Script{expect("l1 AUTHENTICATE XOAUTH2"), nothingMore, send("+ "), expect(asXOAuth2)}},
		{"OAUTHBEARER in two lines", "AUTH=OAUTHBEARER", auth.XOAuth2, imaptest.Script{expect("l1 AUTHENTICATE OAUTHBEARER"), nothingMore, send("+"), expect(asBearer)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := append(imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 " + c.caps + "] hi")}, c.script...)
			b, err := login(t, plays(t, append(script, send(welcome))...), auth.Token(c.mechanism, "riley", token))
			if err != nil || names(b.Caps) != "IDLE IMAP4rev1" {
				t.Fatalf("capabilities %s, error %v", names(b.Caps), err)
			}
			if got := strings.Join(b.Before.Mechanisms, " "); !strings.Contains(strings.ToUpper(c.caps), "AUTH="+got) && !strings.HasPrefix(got, "OAUTHBEARER PLAIN XOAUTH2") {
				t.Errorf("mechanisms %s of %s", got, c.caps)
			}
		})
	}
}

// A backend that takes no tokens hears nothing of this one, and one that takes nothing else hears nothing of
// a password.
func TestBearerImpossible(t *testing.T) {
	for _, c := range []struct {
		name, caps string
		creds      auth.Credentials
		text       string
		cause      error
	}{
		{"no mechanism for tokens", "AUTH=PLAIN SASL-IR", auth.Token(auth.XOAuth2, "riley", token), "neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2", errNoBearer},
		{"no mechanism for passwords", "AUTH=OAUTHBEARER AUTH=XOAUTH2 SASL-IR LOGINDISABLED", riley, "neither AUTHENTICATE PLAIN nor LOGIN", errNoMethod},
		{"a name with a field in it", "AUTH=XOAUTH2 SASL-IR", auth.Token(auth.XOAuth2, "a\x01auth=Bearer b", token), "^A", auth.ErrMalformed},
		{"no token", "AUTH=XOAUTH2 SASL-IR", auth.Token(auth.XOAuth2, "riley", ""), "empty", auth.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := login(t, plays(t, send("* OK [CAPABILITY IMAP4rev1 "+c.caps+"] hi"), imaptest.ExpectEOF()), c.creds)
			failing{Misconfigured, "login", c.text}.check(t, err)
			if !errors.Is(err, c.cause) || strings.Contains(err.Error(), token) {
				t.Errorf("%v is not %v", err, c.cause)
			}
		})
	}
}

// What a backend does with a token that it does not take.
func TestBearerRefused(t *testing.T) {
	temporary := "+ " + base64.StdEncoding.EncodeToString([]byte(`{"status":"503"}`))
	repeating := "+ " + base64.StdEncoding.EncodeToString([]byte(`{"status":"no `+token+`"}`))
	for _, c := range []struct {
		name, mechanism string
		script          imaptest.Script
		want            failing
		status          string
	}{
		{"OAUTHBEARER", "OAUTHBEARER", imaptest.Script{send(refusing), expect("AQ=="), send("l1 NO [AUTHENTICATIONFAILED] no")},
			failing{Denied, "login", `answered NO [AUTHENTICATIONFAILED] no (of the token: {Status:invalid_token`}, "invalid_token"},
		{"XOAUTH2", "XOAUTH2", imaptest.Script{send(refusing), expect(""), send("l1 NO no")}, failing{Denied, "login", "answered NO no"}, "invalid_token"},
		{"BAD at the end", "XOAUTH2", imaptest.Script{send(refusing), expect(""), send("l1 BAD no")}, failing{Denied, "login", "answered BAD no"}, "invalid_token"},
		{"no challenge", "OAUTHBEARER", imaptest.Script{send("l1 NO no")}, failing{Denied, "login", "answered NO no"}, ""},
		{"BAD without a challenge", "OAUTHBEARER", imaptest.Script{send("l1 BAD no")}, failing{Misconfigured, "login", "answered BAD no"}, ""},
		{"UNAVAILABLE behind a challenge", "XOAUTH2", imaptest.Script{send(refusing), expect(""), send("l1 NO [UNAVAILABLE] later")},
			failing{Unavailable, "login", "later"}, "invalid_token"},
		{"temporary", "XOAUTH2", imaptest.Script{send(temporary), expect(""), send("l1 NO later")}, failing{Unavailable, "login", "later"}, "503"},
		{"a challenge that is no JSON", "OAUTHBEARER", imaptest.Script{send("+ eA=="), expect("AQ=="), send("l1 NO no")}, failing{Denied, "login", "NO no"}, ""},
		{"a challenge that is no base64", "OAUTHBEARER", imaptest.Script{send("+ !"), expect("AQ=="), send("l1 NO no")}, failing{Denied, "login", "NO no"}, ""},
		{"an empty challenge", "XOAUTH2", imaptest.Script{send("+"), expect(""), send("l1 NO no")}, failing{Denied, "login", "NO no"}, ""},
		{"a long challenge", "XOAUTH2", imaptest.Script{send("+ " + strings.Repeat("eHh4", 5000)), expect(""), send("l1 NO no")}, failing{Denied, "login", "NO no"}, ""},
		{"two challenges", "OAUTHBEARER", imaptest.Script{send(refusing), expect("AQ=="), send(refusing), expect("*"), send("l1 BAD no")},
			failing{Denied, "login", "answered BAD no"}, "invalid_token"},
		{"gone behind a challenge", "XOAUTH2", imaptest.Script{send(refusing), expect("")}, failing{Unreachable, "login", "EOF"}, ""},
		{"the token in the challenge", "XOAUTH2", imaptest.Script{send(repeating), expect(""), send("l1 NO no")}, failing{Denied, "login", "repeats the password or token"}, ""},
		{"the token in the answer", "XOAUTH2", imaptest.Script{send("l1 NO " + strings.ToUpper(token))}, failing{Denied, "login", "repeats"}, ""},
		{"the message in the answer", "XOAUTH2", imaptest.Script{send("l1 BAD what is " + asXOAuth2)}, failing{Misconfigured, "login", "repeats"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := "l1 AUTHENTICATE " + c.mechanism + " " + map[string]string{"XOAUTH2": asXOAuth2, "OAUTHBEARER": asBearer}[c.mechanism]
			script := append(imaptest.Script{send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=" + c.mechanism + "] hi"), expect(line)}, c.script...)
			b := opened(t, plays(t, script...))
			err := b.Login(t.Context(), auth.Token(c.mechanism, "riley", token))
			b.Net.Abort()
			e := c.want.check(t, err)
			if c.name == "gone behind a challenge" && !e.Final {
				t.Error("the token would be tried elsewhere")
			}
			if e.Failure.Status != c.status {
				t.Errorf("the failure is %+v, want status %q", e.Failure, c.status)
			}
			said := strings.ToLower(e.Error() + e.Status.String())
			for _, secret := range []string{token, asXOAuth2, asBearer} {
				if strings.Contains(said, strings.ToLower(secret)) {
					t.Errorf("the error shows the token: %s", said)
				}
			}
		})
	}
}

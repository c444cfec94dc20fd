package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
)

const longToken = "ya29.a0-_~+/" // of every kind of character

func TestServerLearnsTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		mechanism   string
		steps       []step
		user, token string
	}{
		"xoauth2":              {"XOAUTH2", []step{{"user=riley\x01auth=Bearer abc==\x01\x01", ""}}, "riley", "abc=="},
		"xoauth2 in two":       {"XOAUTH2", []step{{"-", ""}, {"user=riley\x01auth=Bearer abc\x01\x01", ""}}, "riley", "abc"},
		"xoauth2 in lower":     {"xoauth2", []step{{"user=riley\x01auth=bearer " + longToken + "\x01\x01", ""}}, "riley", longToken},
		"xoauth2 other order":  {"XOAUTH2", []step{{"auth=Bearer abc\x01user=ri,le=y\x01\x01", ""}}, "ri,le=y", "abc"},
		"xoauth2 other fields": {"XOAUTH2", []step{{"user=riley\x01vendor=x\x01auth=BEARER  abc\x01\x01", ""}}, "riley", "abc"},
		"bearer":               {"OAUTHBEARER", []step{{"n,a=riley,\x01auth=Bearer abc\x01\x01", ""}}, "riley", "abc"},
		"bearer in two":        {"OAUTHBEARER", []step{{"-", ""}, {"n,a=riley,\x01auth=Bearer abc\x01\x01", ""}}, "riley", "abc"},
		"bearer with a host":   {"OAUTHBEARER", []step{{"n,a=r@x.example,\x01host=mail.example\x01port=143\x01auth=Bearer abc\x01\x01", ""}}, "r@x.example", "abc"},
		"bearer escapes":       {"oauthbearer", []step{{"y,a=a=2Cb=3Dc=2c=3d,\x01auth=Bearer abc\x01\x01", ""}}, "a,b=c,=", "abc"},
		"bearer user field":    {"OAUTHBEARER", []step{{"n,a=riley,\x01user=admin\x01auth=Bearer abc\x01\x01", ""}}, "riley", "abc"},
		"UTF-8":                {"XOAUTH2", []step{{"user=jürgen\x01auth=Bearer abc\x01\x01", ""}}, "jürgen", "abc"},
		"longest":              {"XOAUTH2", []step{{"user=riley\x01auth=Bearer " + strings.Repeat("a", MaxToken) + "\x01\x01", ""}}, "riley", strings.Repeat("a", MaxToken)},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := run(t, tt.mechanism, tt.steps)
			if err != nil {
				t.Fatal(err)
			}
			c, ok := x.Credentials()
			if !ok || c.User != tt.user || c.Reveal() != tt.token {
				t.Errorf("got %q, %q, %v", c.User, c.Reveal(), ok)
			}
			if m, bearer := c.Bearer(); !bearer || m != strings.ToUpper(tt.mechanism) {
				t.Errorf("Bearer() = %q, %v", m, bearer)
			}
		})
	}
}

func TestServerRefusesTokens(t *testing.T) {
	for name, message := range map[string]string{
		"XOAUTH2 empty":             "",
		"XOAUTH2 no end":            "user=riley\x01auth=Bearer " + hidden,
		"XOAUTH2 half an end":       "user=riley\x01auth=Bearer " + hidden + "\x01",
		"XOAUTH2 too much of it":    "user=riley\x01auth=Bearer " + hidden + "\x01\x01\x01",
		"XOAUTH2 behind its end":    "user=riley\x01auth=Bearer " + hidden + "\x01\x01user=admin\x01\x01",
		"XOAUTH2 no user":           "auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 empty user":        "user=\x01auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 two users":         "user=riley\x01user=admin\x01auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 two tokens":        "user=riley\x01auth=Bearer x\x01auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 no token":          "user=riley\x01\x01",
		"XOAUTH2 empty token":       "user=riley\x01auth=Bearer \x01\x01",
		"XOAUTH2 no scheme":         "user=riley\x01auth=" + hidden + "\x01\x01",
		"XOAUTH2 another scheme":    "user=riley\x01auth=Basic " + hidden + "\x01\x01",
		"XOAUTH2 space in token":    "user=riley\x01auth=Bearer a " + hidden + "\x01\x01",
		"XOAUTH2 line in token":     "user=riley\x01auth=Bearer a\r\n" + hidden + "\x01\x01",
		"XOAUTH2 octet in token":    "user=riley\x01auth=Bearer a\xff" + hidden + "\x01\x01",
		"XOAUTH2 NUL in user":       "user=riley\x00admin\x01auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 long user":         "user=" + strings.Repeat("a", MaxUser+1) + "\x01auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 long token":        "user=riley\x01auth=Bearer " + hidden + strings.Repeat("a", MaxToken) + "\x01\x01",
		"XOAUTH2 field without =":   "user=riley\x01" + hidden + "\x01auth=Bearer " + hidden + "\x01\x01",
		"XOAUTH2 only ends":         "\x01\x01",
		"XOAUTH2 many ends":         strings.Repeat("\x01", 4000),
		"XOAUTH2 in the other form": "n,a=riley,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER empty":         "",
		"OAUTHBEARER ^A":            "\x01",
		"OAUTHBEARER no header":     "\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER binding":       "p=tls-unique,a=riley,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER no name":       "n,,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER empty name":    "n,a=,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER open header":   "n,a=riley\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER long header":   "n,a=riley,x\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER bad escape":    "n,a=ri=ley,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER double escape": "n,a=ri==2C3D,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER NUL":           "n,a=ri\x00ley,\x01auth=Bearer " + hidden + "\x01\x01",
		"OAUTHBEARER no token":      "n,a=riley,\x01host=x\x01\x01",
		"OAUTHBEARER no end":        "n,a=riley,\x01auth=Bearer " + hidden + "\x01",
		"OAUTHBEARER other form":    "user=riley\x01auth=Bearer " + hidden + "\x01\x01",
	} {
		t.Run(name, func(t *testing.T) {
			mechanism, _, _ := strings.Cut(name, " ")
			x, err := run(t, mechanism, []step{{message, ""}})
			if !errors.Is(err, ErrMalformed) || !strings.HasPrefix(err.Error(), mechanism+": ") {
				t.Fatalf("error %v, want ErrMalformed", err)
			}
			checkHidden(t, "error", err.Error())
			if c, ok := x.Credentials(); ok || c.User != "" {
				t.Errorf("credentials %v after a failure", c)
			}
			if _, _, err := x.Next([]byte{}); !errors.Is(err, sasl.ErrUnexpectedClientResponse) {
				t.Errorf("an empty further response gives %v", err)
			}
		})
	}
}

func TestBearerClient(t *testing.T) {
	c := Token("XOAUTH2", "a,b=c", "abc")
	for mechanism, want := range map[string]struct{ message, answer string }{
		"XOAUTH2":     {"user=a,b=c\x01auth=Bearer abc\x01\x01", ""},
		"OAUTHBEARER": {"n,a=a=2Cb=3Dc,\x01auth=Bearer abc\x01\x01", "\x01"},
	} {
		client := BearerClient(mechanism, c)
		name, ir, err := client.Start()
		if err != nil || name != mechanism || string(ir) != want.message {
			t.Errorf("Start() = %q, %q, %v", name, ir, err)
		}
		if answer, err := client.Next([]byte(`{"status":"401"}`)); err != nil || answer == nil || string(answer) != want.answer {
			t.Errorf("%s: Next() = %q, %v", mechanism, answer, err)
		}
		if _, err := client.Next(nil); !errors.Is(err, sasl.ErrUnexpectedServerChallenge) {
			t.Errorf("%s: another challenge gives %v", mechanism, err)
		}
	}
	for _, c := range []Credentials{
		Password("riley", hidden), Token("XOAUTH2", "", hidden), Token("XOAUTH2", "a\x01auth=Bearer x", hidden),
		Token("XOAUTH2", "a\x00b", hidden), Token("XOAUTH2", "riley", hidden+"\x01"), Token("XOAUTH2", "riley", ""),
	} {
		if _, ir, err := BearerClient("XOAUTH2", c).Start(); !errors.Is(err, ErrMalformed) || ir != nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("%q: Start() = %q, %v", c.User, ir, err)
		}
	}
}

// A token is as well hidden as a password.
func TestTokensNeverPrinted(t *testing.T) {
	c := Token("XOAUTH2", "riley", hidden)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p"} {
		for _, v := range []any{c, &c, holder{c, &c}, []Credentials{c}} {
			checkHidden(t, verb, fmt.Sprintf(verb, v))
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, "json", string(text))
}

func TestFailure(t *testing.T) {
	for _, tt := range []struct{ said, xoauth2, bearer string }{
		{"", `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
		{`{"status":"400","schemes":"Bearer","scope":"https://mail.example/"}`,
			`{"status":"400","schemes":"bearer","scope":"https://mail.example/"}`, `{"status":"invalid_token","scope":"https://mail.example/"}`},
		{`{"status":401}`, `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
		{`{"status":"insufficient_scope","openid-configuration":"https://id.example/.well-known/openid-configuration"}`,
			`{"status":"401","schemes":"bearer","openid-configuration":"https://id.example/.well-known/openid-configuration"}`,
			`{"status":"insufficient_scope","openid-configuration":"https://id.example/.well-known/openid-configuration"}`},
		{`{"status":["x"],"scope":{"a":"b"}}`, `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
		{`{"status":"a\r\nb","scope":"` + strings.Repeat("x", maxDetail+1) + `"}`, `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
		{strings.Repeat("[", maxChallenge+1), `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
		{strings.Repeat("[", maxChallenge), `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
		{"\xff\x00", `{"status":"401","schemes":"bearer"}`, `{"status":"invalid_token"}`},
	} {
		f := ParseFailure([]byte(tt.said))
		if got := string(f.Challenge("XOAUTH2")); got != tt.xoauth2 {
			t.Errorf("%.80s: XOAUTH2 is told %s, want %s", tt.said, got, tt.xoauth2)
		}
		if got := string(f.Challenge("OAUTHBEARER")); got != tt.bearer {
			t.Errorf("%.80s: OAUTHBEARER is told %s, want %s", tt.said, got, tt.bearer)
		}
	}
	for status, want := range map[string]bool{"": false, "401": false, "500": true, "503": true, "temporarily_unavailable": true, "invalid_token": false} {
		if (Failure{Status: status}).Temporary() != want {
			t.Errorf("Temporary() of %q is %v", status, !want)
		}
	}
}

func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"", "\x01", "user=riley\x01auth=Bearer abc\x01\x01", "n,a=ri=2Cl=3Dey,\x01host=x\x01auth=Bearer abc\x01\x01", "y,a==,\x01auth=Bearer \x01\x01"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if message == nil {
			message = []byte{}
		}
		given := string(message)
		for _, mechanism := range []string{XOAuth2, OAuthBearer} {
			x, _ := NewServer(mechanism)
			_, done, err := x.Next(message)
			if string(message) != given {
				t.Fatal("the message was written to")
			}
			if !done {
				checkRefused(t, x, err)
				continue
			}
			c, ok := x.Credentials()
			if m, bearer := c.Bearer(); !ok || c.Check() != nil || !bearer || m != mechanism || !strings.Contains(given, c.Reveal()) {
				t.Fatalf("done with credentials of %q: %v", c.User, c.Check())
			}
			checkSent(t, BearerClient(XOAuth2, c), c)
			checkSent(t, BearerClient(OAuthBearer, c), c)
		}
	})
}

func FuzzFailure(f *testing.F) {
	f.Add([]byte(`{"status":"401","schemes":"bearer","scope":"x y","openid-configuration":"https://x.example/"}`))
	f.Add([]byte(`{"status":4e2}`))
	f.Fuzz(func(t *testing.T, said []byte) {
		failure := ParseFailure(said)
		for _, mechanism := range []string{XOAuth2, OAuthBearer} {
			told := failure.Challenge(mechanism)
			if len(told) > 6*4*maxDetail+200 {
				t.Fatalf("%d octets", len(told))
			}
			again := ParseFailure(told)
			if len(told) <= maxChallenge && (again.Status == "" || again.Scope != failure.Scope || again.Config != failure.Config) {
				t.Fatalf("%+v became %+v by %s", failure, again, told)
			}
		}
	})
}

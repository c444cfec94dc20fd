package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
)

// A step is one call of Next; a response of "-" stands for none.
type step struct{ response, challenge string }

// run makes all steps; only the last may end the exchange or fail.
func run(t *testing.T, mechanism string, steps []step) (*Exchange, error) {
	t.Helper()
	x, ok := NewServer(mechanism)
	if !ok {
		t.Fatalf("%s is not offered", mechanism)
	}
	for i, s := range steps {
		response := []byte(s.response)
		if s.response == "-" {
			response = nil
		}
		challenge, done, err := x.Next(response)
		if i == len(steps)-1 {
			if done == (err != nil) {
				t.Fatalf("last step: done %v, error %v", done, err)
			}
			return x, err
		}
		if err != nil || done || challenge == nil || string(challenge) != s.challenge {
			t.Fatalf("step %d: challenge %q, done %v, error %v; want challenge %q", i, challenge, done, err, s.challenge)
		}
	}
	return nil, nil
}

func TestServerLearnsCredentials(t *testing.T) {
	odd := "\x01\xff\r\n\"\\{5} *"
	for name, tt := range map[string]struct {
		mechanism                string
		steps                    []step
		user, password, identity string
	}{
		"plain with initial response":    {"PLAIN", []step{{"\x00riley\x00firetruck", ""}}, "riley", "firetruck", ""},
		"plain without":                  {"PLAIN", []step{{"-", ""}, {"\x00riley\x00firetruck", ""}}, "riley", "firetruck", ""},
		"lower case":                     {"plain", []step{{"\x00riley\x00firetruck", ""}}, "riley", "firetruck", ""},
		"plain as oneself":               {"PLAIN", []step{{"riley\x00riley\x00firetruck", ""}}, "riley", "firetruck", "riley"},
		"plain with any octet":           {"PLAIN", []step{{"\x00ri ley\x00" + odd, ""}}, "ri ley", odd, ""},
		"plain with no password":         {"PLAIN", []step{{"\x00riley\x00", ""}}, "riley", "", ""},
		"login":                          {"LOGIN", []step{{"-", "Username:"}, {"riley", "Password:"}, {"firetruck", ""}}, "riley", "firetruck", ""},
		"login with initial response":    {"LOGIN", []step{{"riley", "Password:"}, {"firetruck", ""}}, "riley", "firetruck", ""},
		"login with any octet":           {"Login", []step{{"ri ley", "Password:"}, {odd, ""}}, "ri ley", odd, ""},
		"login with no password":         {"LOGIN", []step{{"riley", "Password:"}, {"", ""}}, "riley", "", ""},
		"login with a nil last response": {"LOGIN", []step{{"riley", "Password:"}, {"-", ""}}, "riley", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := run(t, tt.mechanism, tt.steps)
			if err != nil {
				t.Fatal(err)
			}
			c, ok := x.Credentials()
			if !ok || c.User != tt.user || c.Reveal() != tt.password || x.Authorization() != tt.identity {
				t.Errorf("got %q, %q, %q, %v", c.User, c.Reveal(), x.Authorization(), ok)
			}
			if x.Mechanism() != strings.ToUpper(tt.mechanism) {
				t.Errorf("Mechanism() = %q", x.Mechanism())
			}
		})
	}
}

func TestServerRefuses(t *testing.T) {
	long := strings.Repeat("a", MaxPassword+1)
	for name, tt := range map[string]struct {
		mechanism string
		steps     []step
		want      error
	}{
		"plain, empty initial response": {"PLAIN", []step{{"", ""}}, ErrMalformed},
		"plain, empty response":         {"PLAIN", []step{{"-", ""}, {"", ""}}, ErrMalformed},
		"plain, nil response":           {"PLAIN", []step{{"-", ""}, {"-", ""}}, ErrMalformed},
		"plain, two parts":              {"PLAIN", []step{{"riley\x00" + hidden, ""}}, ErrMalformed},
		"plain, four parts":             {"PLAIN", []step{{"\x00riley\x00" + hidden + "\x00", ""}}, ErrMalformed},
		"plain, no user":                {"PLAIN", []step{{"\x00\x00" + hidden, ""}}, ErrMalformed},
		"plain, only an identity":       {"PLAIN", []step{{"riley\x00\x00" + hidden, ""}}, ErrMalformed},
		"plain, another identity":       {"PLAIN", []step{{"admin\x00riley\x00" + hidden, ""}}, ErrAuthorization},
		"plain, identity in other case": {"PLAIN", []step{{"Riley\x00riley\x00" + hidden, ""}}, ErrAuthorization},
		"plain, long user":              {"PLAIN", []step{{"\x00" + long[:MaxUser+1] + "\x00" + hidden, ""}}, ErrMalformed},
		"plain, long password":          {"PLAIN", []step{{"\x00riley\x00" + hidden + long, ""}}, ErrMalformed},
		"login, empty initial response": {"LOGIN", []step{{"", ""}}, ErrMalformed},
		"login, empty user":             {"LOGIN", []step{{"-", "Username:"}, {"", ""}}, ErrMalformed},
		"login, NUL in user":            {"LOGIN", []step{{"riley\x00admin", ""}}, ErrMalformed},
		"login, NUL in password":        {"LOGIN", []step{{"riley", "Password:"}, {hidden + "\x00", ""}}, ErrMalformed},
		"login, long user":              {"LOGIN", []step{{long[:MaxUser+1], ""}}, ErrMalformed},
		"login, long password":          {"LOGIN", []step{{"riley", "Password:"}, {hidden + long, ""}}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := run(t, tt.mechanism, tt.steps)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			checkHidden(t, "error", err.Error())
			if c, ok := x.Credentials(); ok || c.User != "" {
				t.Errorf("credentials %v after a failure", c)
			}
			if _, _, err := x.Next([]byte("\x00riley\x00" + hidden)); !errors.Is(err, sasl.ErrUnexpectedClientResponse) {
				t.Errorf("a further response gives %v", err)
			}
		})
	}
}

func TestServerEndsOnce(t *testing.T) {
	x, err := run(t, "PLAIN", []step{{"\x00riley\x00firetruck", ""}})
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := x.Next([]byte("\x00eve\x00firetruck")); !errors.Is(err, sasl.ErrUnexpectedClientResponse) || done {
		t.Errorf("a response after the end: done %v, error %v", done, err)
	}
	if c, _ := x.Credentials(); c.User != "riley" {
		t.Errorf("a response after the end changed the user to %q", c.User)
	}
}

func TestMechanisms(t *testing.T) {
	if got, want := Mechanisms(), []string{"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"}; !slices.Equal(got, want) {
		t.Errorf("Mechanisms() = %q, want %q", got, want)
	}
	for _, name := range Mechanisms() {
		if x, ok := NewServer(name); !ok || x.Mechanism() != name {
			t.Errorf("%s is announced but not offered", name)
		}
	}
	for _, name := range []string{"", "KERBEROS_V4", "GSSAPI", "PLAIN ", "XOAUTH", "OAUTHBEARER-PLUS"} {
		if _, ok := NewServer(name); ok {
			t.Errorf("%q is offered", name)
		}
	}
}

func TestResponseIsNotKept(t *testing.T) {
	x, _ := NewServer("PLAIN")
	response := []byte("\x00riley\x00firetruck")
	if _, _, err := x.Next(response); err != nil {
		t.Fatal(err)
	}
	clear(response)
	if c, _ := x.Credentials(); c.User != "riley" || c.Reveal() != "firetruck" {
		t.Errorf("credentials change with the caller's buffer: %q %q", c.User, c.Reveal())
	}
}

func TestPlainClient(t *testing.T) {
	mechanism, ir, err := PlainClient(Password("riley", "fire\xfftruck")).Start()
	if err != nil || mechanism != "PLAIN" || string(ir) != "\x00riley\x00fire\xfftruck" {
		t.Errorf("Start() = %q, %q, %v", mechanism, ir, err)
	}
	for _, c := range []Credentials{Password("", hidden), Password("\x00admin", hidden), Password("riley", "a\x00b")} {
		if _, ir, err := PlainClient(c).Start(); !errors.Is(err, ErrMalformed) || ir != nil {
			t.Errorf("%q: Start() = %q, %v", c.User, ir, err)
		}
	}
	if _, err := PlainClient(Password("riley", hidden)).Next(nil); err == nil {
		t.Error("a challenge behind the message was answered")
	}
}

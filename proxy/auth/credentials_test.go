package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hidden = "Tr0ub4dor"

// holder has the credentials where fmt may not call their methods.
type holder struct {
	creds Credentials
	Also  *Credentials
}

// forms are all the ways in which a verb could show the password.
func forms() []string {
	return []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprintf("% x", hidden),
		strings.Trim(fmt.Sprint([]byte(hidden)), "[]")}
}

func checkHidden(t *testing.T, what, text string) {
	t.Helper()
	for _, form := range forms() {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the password: %s", what, text)
		}
	}
}

func TestCredentialsNeverPrinted(t *testing.T) {
	c := Password("riley", hidden)
	values := []any{c, &c, holder{c, &c}, &holder{c, &c}, []Credentials{c}, map[string]Credentials{"a": c},
		fmt.Errorf("login: %v", c)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%U", "%t", "%e", "%p", "%T", "%z"} {
		for _, v := range values {
			checkHidden(t, fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(verb, c); got != `{User:"riley" Password:<secret>}` {
			t.Errorf("%s gives %s", verb, got)
		}
	}
}

func TestCredentialsNeverMarshalled(t *testing.T) {
	c := Password("riley", hidden)
	for _, v := range []any{c, &c, map[string]any{"c": c}, holder{c, &c}} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		checkHidden(t, "json", string(text))
	}
	text, err := c.MarshalText()
	if err != nil || string(text) != c.String() {
		t.Errorf("MarshalText() = %s, %v", text, err)
	}
}

func TestCredentialsNeverLogged(t *testing.T) {
	c := Password("riley", hidden)
	var out bytes.Buffer
	for name, sink := range map[string]slog.Handler{"text": slog.NewTextHandler(&out, nil), "json": slog.NewJSONHandler(&out, nil)} {
		out.Reset()
		log := slog.New(sink).With("who", c)
		log.Info("login", "creds", c, "pointer", &c, "in", holder{c, &c}, "list", []Credentials{c})
		checkHidden(t, "slog "+name, out.String())
		if !strings.Contains(out.String(), "riley") || !strings.Contains(out.String(), "secret") {
			t.Errorf("slog %s lost the user name or the mark: %s", name, out.String())
		}
	}
}

func TestReveal(t *testing.T) {
	if got := Password("riley", hidden).Reveal(); got != hidden {
		t.Errorf("Reveal() = %q", got)
	}
	if got := (Credentials{User: "riley"}).Reveal(); got != "" {
		t.Errorf("Reveal() of no password = %q", got)
	}
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("a", MaxPassword+1)
	for name, tt := range map[string]struct {
		c    Credentials
		want error
	}{
		"plain":             {Password("riley", hidden), nil},
		"every octet":       {Password("riley", "\x01\r\n\"\\{5}\xff\x80 "), nil},
		"empty password":    {Password("riley", ""), nil},
		"longest":           {Password(long[:MaxUser], long[:MaxPassword]), nil},
		"no user":           {Password("", hidden), ErrMalformed},
		"zero":              {Credentials{}, ErrMalformed},
		"long user":         {Password(long[:MaxUser+1], hidden), ErrMalformed},
		"long password":     {Password("riley", long), ErrMalformed},
		"NUL in user":       {Password("riley\x00admin", hidden), ErrMalformed},
		"NUL in password":   {Password("riley", hidden+"\x00"), ErrMalformed},
		"NUL after the max": {Password("riley", long+"\x00"), ErrMalformed},
	} {
		err := tt.c.Check()
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: Check() = %v, want %v", name, err, tt.want)
		}
		if err != nil {
			checkHidden(t, name, err.Error())
		}
	}
}

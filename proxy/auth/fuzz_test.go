package auth

import (
	"bytes"
	"errors"
	"testing"

	"github.com/emersion/go-sasl"
)

// checkLearnt checks what holds of every exchange that ended well: the credentials can go to a
// backend, and a server there reads the same from what PlainClient sends.
func checkLearnt(t *testing.T, x *Exchange) Credentials {
	t.Helper()
	c, ok := x.Credentials()
	if !ok || c.Check() != nil || len(c.User) > MaxUser || len(c.Reveal()) > MaxPassword {
		t.Fatalf("done with credentials of %q: %v, %v", c.User, ok, c.Check())
	}
	if a := x.Authorization(); a != "" && a != c.User {
		t.Fatalf("%q may act as %q", c.User, a)
	}
	checkSent(t, PlainClient(c), c)
	return c
}

// checkSent checks that a server reads from a client's message what went into it.
func checkSent(t *testing.T, client sasl.Client, c Credentials) {
	t.Helper()
	mechanism, ir, err := client.Start()
	if err != nil {
		t.Fatal(err)
	}
	y, _ := NewServer(mechanism)
	if _, done, err := y.Next(ir); !done || err != nil {
		t.Fatalf("a server refuses what the client sends: %v", err)
	}
	if d, _ := y.Credentials(); d.User != c.User || d.Reveal() != c.Reveal() {
		t.Fatalf("%q became %q on the way", c.User, d.User)
	}
}

func checkRefused(t *testing.T, x *Exchange, err error) {
	t.Helper()
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrAuthorization) {
		t.Fatalf("neither done nor a typed error: %v", err)
	}
	if c, ok := x.Credentials(); ok || c.User != "" {
		t.Fatalf("refused, yet there are credentials of %q", c.User)
	}
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"", "\x00riley\x00firetruck", "riley\x00riley\x00x", "admin\x00riley\x00x", "\x00\x00", "\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		if response == nil {
			response = []byte{}
		}
		given := bytes.Clone(response)
		x, _ := NewServer("PLAIN")
		_, done, err := x.Next(response)
		if !bytes.Equal(given, response) {
			t.Fatal("the response was written to")
		}
		if !done {
			checkRefused(t, x, err)
			return
		}
		c := checkLearnt(t, x)
		if again := x.Authorization() + "\x00" + c.User + "\x00" + c.Reveal(); again != string(given) {
			t.Fatalf("%q was read as %q", given, again)
		}
	})
}

func FuzzLogin(f *testing.F) {
	f.Add([]byte("riley"), []byte("firetruck"))
	f.Add([]byte(""), []byte("x"))
	f.Add([]byte("a\x00b"), []byte("c"))
	f.Add([]byte("a"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, user, password []byte) {
		x, _ := NewServer("LOGIN")
		if challenge, done, err := x.Next(nil); done || err != nil || string(challenge) != "Username:" {
			t.Fatalf("first challenge %q, %v, %v", challenge, done, err)
		}
		challenge, done, err := x.Next(user)
		if err == nil && (done || string(challenge) != "Password:") {
			t.Fatalf("second challenge %q, %v", challenge, done)
		}
		if err == nil {
			_, done, err = x.Next(password)
		}
		if !done {
			checkRefused(t, x, err)
			return
		}
		if c := checkLearnt(t, x); c.User != string(user) || c.Reveal() != string(password) {
			t.Fatalf("%q was read as %q", user, c.User)
		}
	})
}

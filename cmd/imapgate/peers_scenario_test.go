//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A realKind is one kind of server with what a scenario has to know of it.
type realKind struct {
	name        string
	prefix, sep string
	features    string // of scenario.py
	start       func(testing.TB, []realpeer.User) *realpeer.Server
}

func realKinds() []realKind {
	return []realKind{
		{"dovecot", "", "/",
			"nonsync multiappend binary uidplus move sort quota acl metadata modern idle unselect bad",
			func(t testing.TB, users []realpeer.User) *realpeer.Server {
				return realpeer.Dovecot(t, realpeer.DovecotOptions{
					Users:      users,
					Capability: realpeer.DovecotCapability + " METADATA ACL RIGHTS=texk QUOTA",
					Plugins:    []string{"acl", "quota", "metadata"},
				})
			}},
		{"courier", "INBOX.", ".", "uidplus sort acl idle",
			func(t testing.TB, users []realpeer.User) *realpeer.Server {
				return realpeer.Courier(t, realpeer.CourierOptions{Users: users})
			}},
	}
}

func onRealKinds(t *testing.T, test func(t *testing.T, k realKind)) {
	for _, k := range realKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// matrix is a user for each way through the proxy, and one for the server itself; all have mailboxes of
// their own, so all runs begin with the same state.
func matrix(who string) []realpeer.User {
	users := []realpeer.User{secretUser(who + ".direct")}
	for _, front := range legs() {
		for _, back := range legs() {
			users = append(users, secretUser(wayName(who, front, back)))
		}
	}
	return users
}

func secretUser(name string) realpeer.User {
	return realpeer.User{Name: name, Password: "secret/" + name}
}

func wayName(who string, front, back leg) string { return fmt.Sprintf("%s-%s.%s", who, front, back) }

// A scenario is what a client does on one way; it returns what it saw, for comparison. It runs on a goroutine
// of its own, so it must not end the test.
type scenario func(t testing.TB, e endpoint, u realpeer.User) (string, error)

// onEveryWay runs a scenario at the server itself and through the proxy on each way, all at once (Courier
// waits for seconds without work), and compares what it returns.
func onEveryWay(t *testing.T, k realKind, who string, run scenario) {
	users := matrix(who)
	server := k.start(t, users)
	g := startPeerGate(t, users, backendLegs(server), asDirect)
	type result struct {
		way string
		run string
		err error
	}
	results := make(chan result)
	start := func(way string, e endpoint, u realpeer.User) {
		go func() {
			r := result{way: way, err: errors.New("the client did not run")}
			defer func() { results <- r }()
			r.run, r.err = run(t, e, u)
		}()
	}
	start("direct", at(server, legImplicit), users[0])
	for _, front := range legs() {
		for _, back := range legs() {
			name := wayName(who, front, back)
			start(name, g.at(front), secretUser(name))
		}
	}
	runs := map[string]string{}
	for range users {
		r := <-results
		if r.err != nil || r.run == "" {
			t.Errorf("%s: %v", r.way, r.err)
		}
		runs[r.way] = r.run
	}
	for way, run := range runs {
		if !t.Failed() {
			compareRuns(t, way, runs["direct"], run)
		}
	}
}

// compareRuns shows the first difference of two runs with the lines before it.
func compareRuns(t *testing.T, way, direct, proxied string) {
	t.Helper()
	want, got := strings.Split(direct, "\n"), strings.Split(proxied, "\n")
	for i := range max(len(want), len(got)) {
		if i < len(want) && i < len(got) && want[i] == got[i] {
			continue
		}
		from := max(0, i-6)
		t.Fatalf("%s differs from the server itself in line %d\ndirect:\n%s\n\nproxied:\n%s", way, i+1,
			strings.Join(want[min(from, len(want)):min(i+4, len(want))], "\n"),
			strings.Join(got[min(from, len(got)):min(i+4, len(got))], "\n"))
	}
}

// The parts of a server's words that may differ between two runs.
var (
	statusText = regexp.MustCompile(`^S (TAG\d+|\*|\+)( (OK|NO|BAD|BYE|PREAUTH))?( \[[^\]]*\])?.*$`)
	capability = regexp.MustCompile(`^S \* CAPABILITY .*$`)
	marked     = regexp.MustCompile(` ?\\(Unm|UnM|M)arked`)
	validity   = regexp.MustCompile(`(UIDVALIDITY|APPENDUID|COPYUID) \d+`)
)

// normalise leaves what must be equal: tags, types, response codes and data, not texts for people,
// UIDVALIDITY, marks that depend on time and the user's name. Continuation requests and untagged OK without a code are nothing but text.
func normalise(run, user string) string {
	var lines []string
	for line := range strings.Lines(run) {
		line = strings.TrimSuffix(line, "\n")
		if m := statusText.FindStringSubmatch(line); m != nil && (m[3] != "" || m[1] == "+") {
			line = "S " + m[1] + m[2] + m[4]
			if m[1] == "*" && m[3] == "OK" && m[4] == "" {
				continue
			}
		}
		line = capability.ReplaceAllString(line, "S * CAPABILITY")
		line = marked.ReplaceAllString(line, "")
		line = validity.ReplaceAllString(line, "$1 v")
		lines = append(lines, strings.ReplaceAll(line, user, "USER"))
	}
	return strings.Join(lines, "\n")
}

func readScript(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every line that a server sends to Python's imaplib in a long conversation reaches it through the proxy
// as it does without.
func TestPeersPythonScenario(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartPython)
	script := readScript(t, "scenario.py")
	onRealKinds(t, func(t *testing.T, k realKind) {
		onEveryWay(t, k, "py", func(t testing.TB, e endpoint, u realpeer.User) (string, error) {
			r := realpeer.RunPython(t, script, string(e.tls), "localhost", e.port(), e.ca, u.Name, u.Password,
				k.prefix, k.sep, k.features)
			return normalise(r.Stdout, u.Name), failure(r)
		})
	})
}

// failure is why a client has failed.
func failure(r realpeer.Result) error {
	if r.Code == 0 {
		return nil
	}
	return fmt.Errorf("the client ended with exit code %d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
}

// oddUsers have passwords that quoting or encoding could spoil on their way.
func oddUsers() (users []realpeer.User) {
	for i, password := range []string{
		"plain-firetruck", `pa{5}ss {3+}`, `a "quoted" \back\\slash\`, `100%u %% $x: #'*(|)`, "Grüße 你好", "  two  spaces  ",
		"caf\xe9 latin-1 \xff", "del\x7f", "NIL.nil", strings.Repeat("long-password ", 40),
	} {
		l := legs()[i%3]
		users = append(users, realpeer.User{Name: fmt.Sprintf("odd%d@example.org.%s", i, l), Password: password})
	}
	return users
}

// A password reaches the backend octet by octet, by each way in which a client can say it.
func TestPeersOddPasswords(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartPython)
	script := readScript(t, "passwords.py")
	onRealKinds(t, func(t *testing.T, k realKind) {
		users := oddUsers()
		server := k.start(t, users)
		g := startPeerGate(t, users, backendLegs(server), "")
		for i, u := range users {
			e := g.at(legs()[i/3%3])
			args := []string{string(e.tls), "localhost", e.port(), e.ca, latin1(u.Name), latin1(u.Password)}
			got := strings.Fields(realpeer.Python(t, script, args...))
			want := []string{"quoted", "literal", "nonsync", "PLAIN", "PLAIN-IR", "LOGIN"}
			if !slices.Equal(got, want) {
				t.Errorf("%s at %s: %q logged in, want %q", u.Name, e.tls, got, want)
			}
		}
	})
}

// latin1 carries octets to Python in a text.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

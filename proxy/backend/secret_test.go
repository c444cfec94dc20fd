package backend

import (
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/auth"
	"github.com/imapgate/imapgate/proxy/imaptest"
)

// TestNoSecretInErrors lets a backend repeat what it was sent wherever it can: the error has the kind and the
// phase, and nothing of the password.
func TestNoSecretInErrors(t *testing.T) {
	const omitted = "repeats the password"
	for _, c := range []struct {
		name, caps, password string
		answer               string
		want                 failing
	}{
		{"text", "", "firetruck", `l1 BAD error in LOGIN "riley" "firetruck"`, failing{Misconfigured, "login", omitted}},
		{"text of NO", "", "firetruck", "l1 NO [LIMIT] firetruck is used too often", failing{Limited, "login", "answered NO [LIMIT] NO: what the backend said is left out"}},
		{"other case", "", "FireTruck", "l1 BAD UNKNOWN COMMAND FIRETRUCK", failing{Misconfigured, "login", omitted}},
		{"escapes", "", `fire"truck`, `l1 BAD error in LOGIN "riley" "fire\"truck"`, failing{Misconfigured, "login", omitted}},
		{"without escapes", "", `fire"truck`, `l1 BAD error in LOGIN riley fire"truck`, failing{Misconfigured, "login", omitted}},
		{"base64", "AUTH=PLAIN SASL-IR", "firetruck", "l1 BAD error in AUTHENTICATE PLAIN " + response, failing{Misconfigured, "login", omitted}},
		{"arguments of a code", "", "firetruck", "l1 NO [UNAVAILABLE firetruck] later", failing{Unavailable, "login", omitted}},
		{"code", "", "firetruck", "l1 NO [firetruck] no", failing{Denied, "login", "answered NO NO: what"}},
		{"BYE", "", "firetruck", "* BYE cannot do LOGIN riley firetruck", failing{Unreachable, "login", omitted}},
		{"continuation", "", "firetruck", "+ firetruck", failing{Unreachable, "login", "continuation request that nothing asked for"}},
		{"tag", "", "firetruck", "firetruck OK in", failing{Unreachable, "login", "unexpected tag"}},
		{"no response", "", "firetruck", "riley: firetruck", failing{Unreachable, "login", "out of sync"}},
		{"untagged", "", "firetruck", "* NO firetruck\r\nl1 NO wrong", failing{Denied, "login", "answered NO wrong"}},
		{"nothing", "", "firetruck", "l1 NO the fire truck is out", failing{Denied, "login", "answered NO the fire truck is out"}},
		{"empty password", "", "", "l1 NO empty", failing{Denied, "login", "answered NO empty"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := login(t, plays(t, send("* OK [CAPABILITY IMAP4rev1 "+c.caps+"] hi"), imaptest.Match("^l1 "), send(c.answer)), auth.Password("riley", c.password))
			e := c.want.check(t, err)
			said := strings.ToLower(e.Error() + e.Status.String())
			for _, secret := range []string{c.password, strings.ReplaceAll(c.password, `"`, `\"`), response} {
				if secret != "" && strings.Contains(said, strings.ToLower(secret)) {
					t.Errorf("the error shows %q: %s", secret, said)
				}
			}
		})
	}
}

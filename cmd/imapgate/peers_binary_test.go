//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// binaryMail are messages with parts of each kind.
var binaryMail = []string{
	"Subject: plain\r\n\r\nplain\r\n",
	"Subject: single\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAGFiYw==\r\n",
	"Subject: quoted\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\na=3Db  \r\nsoft=\r\n end=C3=A9\r\n",
	"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=x\"\r\n\r\npreamble\r\n--=x\r\n\r\nno header\r\n" +
		"--=x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: BASE64 (comment)\r\n\r\nAGFi\r\nYw==\r\n" +
		"--=x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n" +
		"--y\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41=42\r\n--y\r\nContent-Transfer-Encoding: base64\r\n\r\nQUI=\r\n--y--\r\n" +
		"--=x\r\nContent-Type: message/rfc822\r\n\r\nSubject: alone\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n\r\n--=x--\r\n",
}

// What BINARY gives of parts of each kind is the same at a server that has it and, through the gate, at those
// that do not.
func TestPeersBinary(t *testing.T) {
	t.Parallel()
	u := secretUser("riley.implicit")
	modern := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}})
	want := binaryParts(t, at(modern, legImplicit).raw(t, u))
	for _, k := range rev2Kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server := k.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), k.policy)
			got := binaryParts(t, g.at(legImplicit).raw(t, u))
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("through the gate\n%s\nat a modern server\n%s", got[i], want[i])
				}
			}
		})
	}
}

// binaryParts fetches parts that are not made of others; within those, Dovecot decodes too.
func binaryParts(t testing.TB, c *rawClient) (found []string) {
	for _, mail := range binaryMail {
		c.must(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(mail), mail))
	}
	c.must("SELECT INBOX")
	for i := range binaryMail {
		for _, part := range []string{"1", "2", "3.1", "3.2", "4.1", "5"} {
			for _, item := range []string{"BINARY.SIZE[" + part + "]", "BINARY.PEEK[" + part + "]", "BINARY.PEEK[" + part + "]<1.2>"} {
				answer, untagged := c.command(fmt.Sprintf("FETCH %d %s", i+1, item))
				untagged = slices.DeleteFunc(untagged, func(line string) bool { return !strings.Contains(line, "FETCH") })
				text := strings.ReplaceAll(strings.Join(untagged, "\n"), "~{", "{") // Dovecot says literal8 of text too
				found = append(found, fmt.Sprintf("%d %s: %q %.2s", i+1, item, text, answer))
			}
		}
	}
	return found
}

//go:build unix

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// A policy that follows from who the user is holds for that user's sessions, and for no other's.
func TestPolicyOfARouteByUser(t *testing.T) {
	backend := imaptest.MemoryServer(t, imaptest.MemoryOptions{
		Users: map[string]string{"riley": "firetruck", "old-riley": "firetruck", "plain-riley": "firetruck"},
		Caps:  imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapMove: {}, imap.CapUIDPlus: {}},
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	writeFile(t, file, fmt.Sprintf(`
listeners: [{name: imap, address: "127.0.0.1:0", tls: none, allow_plaintext_login: true}]
backends: {b: {address: %q, tls: none}}
routes:
  - {match: {user: "old-*"}, backend: b, policy: {capabilities: {remove: [MOVE, XGWEXTENSIONS]}}}
  - {match: {user: "plain-*"}, backend: b, policy: {polyfills: off, xgwmove: off}}
  - {backend: b}
policy: {polyfills: [binary]}
metrics: {address: ""}
log: {format: json}
`, backend.Addr))
	address := startLogged(t, file).addresses["imap"]
	for _, tt := range []struct{ user, caps string }{
		{"riley", `IMAP4rev1 LITERAL\+ ID XGWEXTENSIONS MOVE .*BINARY`},
		{"old-riley", `IMAP4rev1 LITERAL\+ ID UIDPLUS .*BINARY`},
		{"plain-riley", `IMAP4rev1 LITERAL\+ ID MOVE UIDPLUS IDLE UNSELECT ENABLE UTF8=ACCEPT\]`},
	} {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		script := imaptest.Script{
			imaptest.Match(`^\* OK `),
			imaptest.Send("a LOGIN " + tt.user + " firetruck"), imaptest.Match(`^a OK \[CAPABILITY ` + tt.caps),
		}
		switch tt.user {
		case "old-riley":
			script = append(script, imaptest.Send("b UID MOVE 1 INBOX"), imaptest.Expect("b BAD MOVE is not offered here"),
				imaptest.Send("c XGWEXTENSIONS"), imaptest.Expect("c BAD XGWEXTENSIONS is not offered here"))
		case "plain-riley":
			script = append(script, imaptest.Send("b XGWEXTENSIONS"), imaptest.Expect("b BAD Unknown command"))
		default:
			script = append(script, imaptest.Send("b UID MOVE 1 INBOX"), imaptest.Match("^b BAD .*state"))
		}
		if err := script.Run(nc); err != nil {
			t.Errorf("%s: %v", tt.user, err)
		}
		nc.Close()
	}
}

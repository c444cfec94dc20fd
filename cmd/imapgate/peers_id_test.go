//go:build unix

package main

import (
	"strings"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// TestPeersID: with id: merge a real server hears of the client and of the proxy, and is heard.
func TestPeersID(t *testing.T) {
	t.Parallel()
	u := secretUser("id.none")
	server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}, Config: "imap_id_log = *\nimap_id_send = name *"})
	g := startPeerGate(t, []realpeer.User{u}, []peerBackend{backendAt(server, legNone, "*")}, "policy: {id: merge}\n")
	c := g.at(legImplicit).raw(t, u)
	answer := c.must(`ID ("name" "Mutt" "x-originating-ip" "192.0.2.1" "vendor" {5+}` + "\r\nfolks)")
	if want := `* ID ("name" "Dovecot" "x-proxy-name" "imapgate" "x-proxy-version" `; len(answer) != 1 || !strings.HasPrefix(answer[0], want) {
		t.Errorf("the answer is %q, want %s...", answer, want)
	}
	awaitText(t, server.Log, "name=Mutt, vendor=folks, x-proxy-name=imapgate")
	if log := server.Log(); strings.Contains(log, "192.0.2.1") {
		t.Errorf("the server heard\n%s", log)
	}
}

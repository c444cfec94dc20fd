package proxy

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base32"
	"strings"

	"github.com/imapgate/imapgate/proxy/wire"
)

// newID returns a session id: 80 random bits, short enough to read out over the telephone.
func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// parseID reads the argument of ID (RFC 2971 section 3.1) and returns the client's name and version.
// Nothing of it is forwarded: keys that begin with x- tell some servers whom to believe.
func parseID(args []wire.Token) (name string, valid bool) {
	if len(args) == 1 && args[0].Is("NIL") {
		return "", true
	}
	if len(args) < 2 || args[0].Kind != wire.Open || args[len(args)-1].Kind != wire.Close {
		return "", false
	}
	pairs := args[1 : len(args)-1]
	if len(pairs)%2 != 0 || len(pairs) > 2*30 {
		return "", false
	}
	var version string
	for i := 0; i < len(pairs); i += 2 {
		if !pairs[i].IsString() || !pairs[i+1].IsString() {
			return "", false
		}
		switch strings.ToLower(pairs[i].Value()) {
		case "name":
			name = clean(pairs[i+1].Value())
		case "version":
			version = clean(pairs[i+1].Value())
		}
	}
	return strings.TrimSpace(name + " " + version), true
}

// writeID answers ID with the proxy's own name: a server behind a proxy that changes the session must
// not be taken for the whole of it (RFC 2971 section 5).
func writeID(w *wire.Writer, tag, version string) {
	w.Message(wire.Data("ID", wire.List(
		wire.String("name"), wire.String("imapgate"), wire.String("version"), wire.String(version))...))
	w.Status([]byte(tag), ok("ID completed"))
}

func tlsVersion(v uint16) string { return strings.TrimPrefix(tls.VersionName(v), "TLS ") }

package proxy

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base32"
	"strings"

	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/proxy/wire"
)

var idAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")

// newID returns a session id: 80 random bits, short enough to read out over the telephone.
func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return idAlphabet.EncodeToString(b[:])
}

// clientName is what a client says it is, for the log.
func clientName(id []translate.IDPair) string {
	var name, version string
	for _, p := range id {
		switch strings.ToLower(p.Key) {
		case "name":
			name = clean(p.Value)
		case "version":
			version = clean(p.Value)
		}
	}
	return strings.TrimSpace(name + " " + version)
}

// ownID is what the proxy says of itself.
func ownID(version string) []translate.IDPair {
	return []translate.IDPair{{Key: "name", Value: "imapgate"}, {Key: "version", Value: version}}
}

// writeID answers ID with the proxy's own name: a server behind a proxy that changes the session must
// not be taken for the whole of it (RFC 2971 section 5). Nothing of the client's is forwarded.
func writeID(w *wire.Writer, tag, version string) {
	w.Message(wire.Data("ID", translate.FormatID(ownID(version))...))
	w.Status([]byte(tag), ok("ID completed"))
}

func tlsVersion(v uint16) string { return strings.TrimPrefix(tls.VersionName(v), "TLS ") }

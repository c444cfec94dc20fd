package tlsutil

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
)

// Client says how a backend's certificate is verified. The zero value with a ServerName verifies the
// chain by the system's roots and the name by ServerName.
type Client struct {
	// ServerName is the name or IP address that the certificate must be for, and that is asked for by
	// SNI when it is a name. It is always needed.
	ServerName string
	// Roots are trusted instead of the system's roots; nil means the system's.
	Roots *x509.CertPool
	// Pin is the SHA-256 hash of the leaf's SubjectPublicKeyInfo in base64. When it is set, a backend
	// with this key is trusted whatever its name, its issuer and its dates, and no other is.
	Pin string
	// Certificate is presented to a backend that asks for one; nil presents none. It is always the newest
	// of the pair, see [Reloader].
	Certificate *Pair
	// MinVersion is at least tls.VersionTLS10; 0 means TLS 1.2. Go's crypto/tls speaks TLS 1.0 and 1.1 to a
	// server when it is set here, without any GODEBUG setting.
	MinVersion uint16
	// OldCiphers are offered besides the modern ones, up to TLS 1.2; see [OldCipher].
	OldCiphers []uint16
	// Verification can be switched off, which leaves the connection open to anyone who can reroute it.
	Verification Verification
}

// Verification says whether a backend's certificate is looked at.
type Verification int

// The kinds of verification.
const (
	Verify       Verification = iota // by roots and name, or by Pin
	InsecureSkip                     // not at all
)

// Errors of a Client.
var (
	// ErrPinFormat says that a pin is not the base64 form of a SHA-256 hash.
	ErrPinFormat = errors.New("not a SHA-256 hash in base64 (44 characters)")
	// ErrPinMismatch says that a backend has another key than the pinned one.
	ErrPinMismatch = errors.New("the backend's key is not the pinned one")
	// ErrNoServerName says that a client was to be made without the name it has to verify.
	ErrNoServerName = errors.New("no server name to verify the certificate by")
)

// Config returns the configuration for connections to one backend. Its errors are ErrNoServerName and
// ErrPinFormat.
func (o Client) Config() (*tls.Config, error) {
	if o.ServerName == "" {
		return nil, ErrNoServerName
	}
	c := &tls.Config{
		ServerName:         o.ServerName,
		RootCAs:            o.Roots,
		MinVersion:         o.minVersion(),
		CipherSuites:       withOld(o.OldCiphers),
		InsecureSkipVerify: o.Pin != "" || o.Verification == InsecureSkip,

		DynamicRecordSizingDisabled: fullRecords,
	}
	if pair := o.Certificate; pair != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return pair.Certificate(), nil
		}
	}
	if o.Pin == "" {
		return c, nil
	}
	want, err := ParsePin(o.Pin)
	if err != nil {
		return nil, err
	}
	// VerifyConnection, not VerifyPeerCertificate: it also runs when a session is resumed.
	c.VerifyConnection = func(state tls.ConnectionState) error { return checkPin(want, state) }
	return c, nil
}

func (o Client) minVersion() uint16 {
	if o.MinVersion == 0 {
		return tls.VersionTLS12
	}
	return o.MinVersion
}

// ParsePin reads a pin in base64; its only error is ErrPinFormat.
func ParsePin(pin string) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	raw, err := base64.StdEncoding.DecodeString(pin)
	if err != nil || len(raw) != len(sum) {
		return sum, ErrPinFormat
	}
	copy(sum[:], raw)
	return sum, nil
}

// Pin returns the pin of a certificate's key.
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func checkPin(want [sha256.Size]byte, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it showed no certificate", ErrPinMismatch)
	}
	got := Pin(state.PeerCertificates[0])
	if got != base64.StdEncoding.EncodeToString(want[:]) {
		return fmt.Errorf("%w: it has %s; set pin_sha256 to this if the key was changed on purpose", ErrPinMismatch, got)
	}
	return nil
}

// LoadRoots reads certificates of authorities in PEM. It fails when the file cannot be read or holds
// none; the error names the file.
func LoadRoots(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}

package tlsutil

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
)

// Errors of old ciphers.
var (
	// ErrUnknownCipher says that Go has no cipher suite of a name.
	ErrUnknownCipher = errors.New("no cipher suite that Go knows")
	// ErrModernCipher says that a cipher suite need not be asked for.
	ErrModernCipher = errors.New("in use without being asked for")
)

// OldCiphers returns the names of the cipher suites that are used only where they are asked for: those with
// RSA key exchange (no forward secrecy), with 3DES, RC4, or CBC with SHA-256.
func OldCiphers() []string {
	var names []string
	for _, suite := range tls.InsecureCipherSuites() {
		names = append(names, suite.Name)
	}
	return names
}

// OldCipher returns the number of a cipher suite by its name in the IANA registry, as in
// TLS_RSA_WITH_AES_128_CBC_SHA. Its errors are ErrUnknownCipher and ErrModernCipher.
func OldCipher(name string) (uint16, error) {
	called := func(s *tls.CipherSuite) bool { return s.Name == name }
	old, modern := tls.InsecureCipherSuites(), tls.CipherSuites()
	if i := slices.IndexFunc(old, called); i >= 0 {
		return old[i].ID, nil
	}
	if slices.ContainsFunc(modern, called) {
		return 0, fmt.Errorf("%s is %w", name, ErrModernCipher)
	}
	return 0, fmt.Errorf("%q is %w", name, ErrUnknownCipher)
}

// withOld returns the modern cipher suites and the old ones given; nil, which is Go's own choice, for none.
// An explicit list holds whatever GODEBUG says of tlsrsakex and tls3des.
func withOld(old []uint16) []uint16 {
	if len(old) == 0 {
		return nil
	}
	all := slices.Clone(old)
	for _, suite := range tls.CipherSuites() {
		all = append(all, suite.ID)
	}
	return all
}

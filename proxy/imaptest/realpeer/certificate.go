//go:build unix

package realpeer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificate names the PEM files of a throw-away authority and of a server certificate that it signed.
type Certificate struct {
	CAFile   string // the authority's certificate: what clients trust
	CertFile string // the server's certificate
	KeyFile  string // the server's private key, readable by its owner only
}

// WriteCertificate makes an authority and a server certificate for localhost, 127.0.0.1 and ::1, valid from an hour
// ago for one day, and writes them into dir, which must exist.
func WriteCertificate(dir string) (Certificate, error) {
	c := Certificate{
		CAFile:   filepath.Join(dir, "ca.pem"),
		CertFile: filepath.Join(dir, "cert.pem"),
		KeyFile:  filepath.Join(dir, "key.pem"),
	}
	authority := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "imapgate test authority"},
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	authorityKey, err := signCertificate(c.CAFile, authority, authority, nil)
	if err != nil {
		return Certificate{}, err
	}
	leaf := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	key, err := signCertificate(c.CertFile, leaf, authority, authorityKey)
	if err != nil {
		return Certificate{}, err
	}
	return c, writeKey(c.KeyFile, key)
}

// signCertificate makes a key for cert, signs cert with signer (with the new key when signer is nil) and writes it.
func signCertificate(file string, cert, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for %s: %w", file, err)
	}
	if signer == nil {
		signer = key
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	cert.NotBefore = time.Now().Add(-time.Hour)
	cert.NotAfter = cert.NotBefore.Add(25 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", file, err)
	}
	return key, writePEM(file, "CERTIFICATE", der)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", file, err)
	}
	return writePEM(file, "PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	mode := os.FileMode(0o644)
	if kind != "CERTIFICATE" {
		mode = 0o600
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

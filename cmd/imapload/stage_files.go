package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/imapgate/imapgate/tlsutil"
)

// writeCertificate makes one certificate for all (ECDSA, P-256).
func writeCertificate(f facts) error {
	cert, key, err := tlsutil.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{{f.Cert, cert, 0o644}, {f.Key, key, 0o600}, {f.Pair, bytes.Join([][]byte{cert, key}, nil), 0o600}} {
		if err := os.WriteFile(file.name, file.data, file.mode); err != nil {
			return fmt.Errorf("write the certificate: %w", err)
		}
	}
	return nil
}

// nginxCapabilities are those of the backend that are not nginx's own to announce.
func nginxCapabilities() string {
	return strings.ReplaceAll(capabilities, " AUTH=PLAIN", "")
}

// serveAuth answers nginx, which asks by HTTP where a user's mail is, until ctx ends: it is in front of
// the backend for all of them. It returns the address to ask.
func serveAuth(ctx context.Context, backend func() int) (url string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", "127.0.0.1")
		w.Header().Set("Auth-Port", fmt.Sprint(backend()))
	})}
	context.AfterFunc(ctx, func() { srv.Close() })
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(os.Stderr, "imapload: answer nginx: %v\n", err)
		}
	}()
	return ln.Addr().String() + "/auth", nil
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"
)

// dialTimeout is how long any connection may take to come about.
const dialTimeout = 10 * time.Second

// A relay copies octets between clients and one backend and knows nothing of IMAP: what is left when a
// proxy in Go does nothing. It is as simple as can be; between two plain connections io.Copy has the
// kernel move the octets.
type relay struct {
	backend string
	conf    *tls.Config // for TLS towards the backend; nil for none
}

// secureRelay is a relay that connects by TLS to a backend with the certificate given.
func secureRelay(backend string, certificate []byte) (relay, error) {
	host, _, err := net.SplitHostPort(backend)
	if err != nil {
		return relay{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		return relay{}, errors.New("there is no certificate in the file")
	}
	return relay{backend: backend, conf: &tls.Config{RootCAs: roots, ServerName: host}}, nil
}

// serve accepts until ctx ends. With conf it ends TLS.
func (r *relay) serve(ctx context.Context, ln net.Listener, conf *tls.Config) error {
	return acceptAll(ctx, ln, func(client net.Conn) {
		if conf != nil {
			client = tls.Server(client, conf)
		}
		r.carry(ctx, client)
	})
}

func (r *relay) carry(ctx context.Context, client net.Conn) {
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(ctx, "tcp", r.backend)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if r.conf != nil {
		server = tls.Client(server, r.conf)
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		io.Copy(server, client)
		closeWrite(server)
	}()
	io.Copy(client, server)
	closeWrite(client)
	client.Close()
	<-up
}

// closeWrite says that nothing more is sent.
func closeWrite(nc net.Conn) {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

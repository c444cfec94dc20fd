package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

func backendCommand() command {
	return command{
		name:    "backend",
		summary: "an IMAP server that is never the bottleneck",
		about: "An IMAP server for measurements: it takes any password, keeps no message and shows made-up mailboxes.\n" +
			"It runs until a signal.",
		example: "  imapload backend -plain 127.0.0.1:20000",
		flags: func(fs *flag.FlagSet) action {
			var d doors
			d.declare(fs, "127.0.0.1:20000")
			return func(ctx context.Context, _, _ io.Writer) error {
				return d.serve(ctx, newBackend().serve)
			}
		},
	}
}

func relayCommand() command {
	return command{
		name:    "relay",
		summary: "a relay that only copies and knows no IMAP",
		about: "Copies octets between clients and one backend: what a proxy in Go costs that does nothing.\n" +
			"It runs until a signal.",
		example: "  imapload relay -plain 127.0.0.1:20010 -backend 127.0.0.1:20000",
		flags: func(fs *flag.FlagSet) action {
			var d doors
			d.declare(fs, "127.0.0.1:20010")
			secure := fs.String("secure", "", "address for TLS, carried on by TLS to -secure-backend")
			backend := fs.String("backend", "127.0.0.1:20000", "where to connect to")
			secureBackend := fs.String("secure-backend", "", "where to connect to by TLS")
			return func(ctx context.Context, _, _ io.Writer) error {
				r := relay{backend: *backend}
				if *secure == "" {
					return d.serve(ctx, r.serve)
				}
				return d.serveBoth(ctx, r, *secure, *secureBackend)
			}
		},
	}
}

// doors are where a server of ours listens.
type doors struct{ plain, tls, cert, key string }

func (d *doors) declare(fs *flag.FlagSet, plain string) {
	fs.StringVar(&d.plain, "plain", plain, "address without TLS")
	fs.StringVar(&d.tls, "tls", "", "address with TLS; empty for none")
	fs.StringVar(&d.cert, "cert", "", "certificate for TLS, a PEM file")
	fs.StringVar(&d.key, "key", "", "its key, a PEM file")
}

func (d *doors) config() (*tls.Config, error) {
	if d.cert == "" {
		return nil, usageError("-cert and -key are needed for TLS")
	}
	pair, err := tls.LoadX509KeyPair(d.cert, d.key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// A server serves one listener until ctx ends, with TLS where conf is not nil.
type server func(ctx context.Context, ln net.Listener, conf *tls.Config) error

// openings are the listeners at the doors, all with one server.
func (d *doors) openings(serve server) ([]opening, error) {
	all := []opening{{address: d.plain, serve: serve}}
	if d.tls == "" {
		return all, nil
	}
	conf, err := d.config()
	return append(all, opening{d.tls, conf, serve}), err
}

// serve serves at the doors until ctx ends.
func (d *doors) serve(ctx context.Context, serve server) error {
	all, err := d.openings(serve)
	if err != nil {
		return err
	}
	return serveAll(ctx, all)
}

// serveBoth serves at the doors, and where both legs have TLS.
func (d *doors) serveBoth(ctx context.Context, r relay, secure, secureBackend string) error {
	all, err := d.openings(r.serve)
	if err != nil {
		return err
	}
	conf, err := d.config()
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(d.cert)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	both, err := secureRelay(secureBackend, pem)
	if err != nil {
		return err
	}
	return serveAll(ctx, append(all, opening{secure, conf, both.serve}))
}

// An opening is one listener to be and its server.
type opening struct {
	address string
	conf    *tls.Config
	serve   server
}

// serveAll ends when ctx does, or all when one fails.
func serveAll(ctx context.Context, all []opening) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listeners := make([]net.Listener, 0, len(all))
	defer func() {
		for _, ln := range listeners {
			ln.Close()
		}
	}()
	for _, o := range all {
		ln, err := net.Listen("tcp", o.address)
		if err != nil {
			return err
		}
		listeners = append(listeners, ln)
	}
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, o := range all {
		wg.Go(func() {
			defer cancel()
			errs[i] = o.serve(ctx, listeners[i], o.conf)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

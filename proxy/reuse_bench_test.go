package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/routing"
)

// BenchmarkWebmail is a login, LIST, SELECT and LOGOUT, over and over: with a login at the backend each time,
// and with the connection of the time before. cpu-ns/op is that of client, proxy and backend together.
func BenchmarkWebmail(b *testing.B) {
	cert, roots := imaptest.Certificate(b)
	for _, mode := range []backend.Mode{backend.None, backend.Implicit} {
		for _, way := range []string{"each", "kept"} {
			b.Run(fmt.Sprintf("tls=%s/%s", mode, way), func(b *testing.B) {
				ln := loopback(b)
				cfg := &backend.Config{Name: "one", Address: ln.Addr().String(), TLS: mode}
				if mode == backend.Implicit {
					ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
					cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "imap.example.org"}
				}
				if way == "kept" {
					cfg.Reuse = backend.Reuse{Idle: time.Minute, Life: time.Hour, Connections: 10, PerUser: 10}
				}
				go servePages(ln)
				pages(b, webmailDoor(b, cfg))
			})
		}
	}
}

// webmailDoor starts a server in front of one backend and returns where clients come in.
func webmailDoor(b *testing.B, cfg *backend.Config) string {
	routes, err := routing.NewTable(routing.Config{Backends: []routing.Backend{{Name: "one"}}, Routes: []routing.Route{{Backend: "one"}}})
	if err != nil {
		b.Fatal(err)
	}
	o := Options{Backends: map[string]*backend.Config{"one": cfg}, Table: routes, Policy: quietPolicy()}
	o.Limits.PerUser = -1
	server, err := NewServer(o)
	if err != nil {
		b.Fatal(err)
	}
	ln := loopback(b)
	go server.Serve(context.Background(), &Listener{Name: "imap", Listener: ln, TLS: NoTLS, AllowPlaintextLogin: true})
	b.Cleanup(func() { server.Shutdown(context.Background()) })
	return ln.Addr().String()
}

// pages has b.N pages.
func pages(b *testing.B, address string) {
	b.ReportAllocs()
	b.ResetTimer()
	before := processTime(b)
	for range b.N {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		in := bufio.NewReader(nc)
		for _, cmd := range []string{"a LOGIN riley firetruck", `b LIST "" *`, "c SELECT INBOX", "d LOGOUT"} {
			io.WriteString(nc, cmd+"\r\n")
			for line := ""; !strings.HasPrefix(line, cmd[:2]+"OK"); {
				if line, err = in.ReadString('\n'); err != nil {
					b.Fatal(err)
				}
			}
		}
		io.Copy(io.Discard, in) // by the end the connection waits
		nc.Close()
	}
	b.ReportMetric(float64(processTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// servePages says OK to all, with capabilities.
func servePages(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			io.WriteString(nc, "* OK [CAPABILITY IMAP4rev1 UNSELECT] hello\r\n")
			in := bufio.NewReader(nc)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				tag, cmd, _ := strings.Cut(line, " ")
				fmt.Fprintf(nc, "%s OK [CAPABILITY IMAP4rev1 UNSELECT] done\r\n", tag)
				if cmd == "LOGOUT\r\n" {
					return
				}
			}
		}()
	}
}

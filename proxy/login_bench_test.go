package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// BenchmarkLogin is a connection from its beginning to the answer to LOGIN, and LOGOUT, over and over: straight at
// a backend, and through imapgate. Client, proxy and backend are one process, so what imapgate costs is the
// difference. Over TLS that is on the client's side alone.
func BenchmarkLogin(b *testing.B) {
	for _, security := range []TLSMode{NoTLS, ImplicitTLS} {
		for _, way := range []string{"direct", "imapgate"} {
			b.Run("tls="+string(security)+"/"+way, func(b *testing.B) {
				once := logins(b, way, security)
				once()
				b.ReportAllocs()
				b.ResetTimer()
				before := processTime(b)
				for range b.N {
					once()
				}
				b.ReportMetric(float64(processTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// logins returns what connects, logs in and out, and waits for the end.
func logins(tb testing.TB, way string, security TLSMode) (once func()) {
	certificate, roots := imaptest.Certificate(tb)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}}
	ln := loopback(tb)
	address := ln.Addr().String()
	switch {
	case way == "imapgate":
		address = gate(tb, address, security, server)
	case security == ImplicitTLS:
		ln = tls.NewListener(ln, server)
	}
	go serveLogins(ln)
	client := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	hear := make([]byte, 4<<10)
	return func() {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			tb.Fatal(err)
		}
		defer nc.Close()
		if security == ImplicitTLS {
			nc = tls.Client(nc, client)
		}
		for _, say := range [][]byte{nil, []byte("a LOGIN riley firetruck\r\n"), []byte("b LOGOUT\r\n")} {
			if err := converse(nc, say, hear); err != nil {
				tb.Fatal(err)
			}
		}
		if _, err := io.ReadFull(nc, hear[:1]); err != io.EOF {
			tb.Fatal("more than the answer to LOGOUT: ", err)
		}
	}
}

// converse says one command, and reads what one write of the other side gives.
func converse(nc net.Conn, say, hear []byte) error {
	if say != nil {
		if _, err := nc.Write(say); err != nil {
			return err
		}
	}
	for n := 0; n == 0 || hear[n-1] != '\n'; {
		got, err := nc.Read(hear[n:])
		if err != nil {
			return err
		}
		n += got
	}
	return nil
}

// serveLogins is a backend for connection after connection.
func serveLogins(ln net.Listener) {
	free := make(chan *fixed, 4)
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		var f *fixed
		select {
		case f = <-free:
		default:
			f = &fixed{b: make([]byte, 4<<10)}
		}
		f.nc, f.r, f.w = nc, 0, 0
		f.out = append(f.out[:0], "* OK "+fixedCaps+" ready\r\n"...)
		go func() {
			for f.serve() == nil {
			}
			f.nc.Write([]byte("* BYE\r\nb OK bye\r\n"))
			f.nc.Close()
			f.nc = nil
			free <- f
		}()
	}
}

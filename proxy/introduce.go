package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"
)

const (
	maxHeaderV1 = 107     // octets with CRLF, from the protocol's own specification
	maxHeaderV2 = 4 << 10 // octets behind the first 16; addresses take 216 at most, the rest are TLVs
	maxNameSNI  = 255     // octets of a host name (RFC 1035 section 2.3.4)
)

// trusts says whether a peer's connections begin with a PROXY header.
func (ln *Listener) trusts(peer netip.Addr) bool {
	if ln.ProxyProtocol == nil || ln.Transport == Local {
		return ln.ProxyProtocol != nil
	}
	return slices.ContainsFunc(ln.ProxyProtocol, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// introduced reads the PROXY header with which a trusted peer says for whom it connects. Where it
// connects for itself (LOCAL, UNKNOWN: that is how health is checked), the addresses are the connection's
// own. What it says of TLS is not believed to make anything secure.
func (c *client) introduced(ctx context.Context, raw net.Conn) error {
	h, err := readHeaderUntil(ctx, raw)
	switch {
	case err != nil && c.srv.stopping.Err() != nil:
		return &Refusal{Reason: "draining", Err: errStopping}
	case errors.Is(err, io.EOF) || isGone(err) && ctx.Err() == nil:
		return &Refusal{Reason: "client_left", Err: err}
	case err != nil:
		return &Refusal{Reason: "proxy_header", Err: fmt.Errorf("PROXY header from %s: %w", c.from(), err)}
	case h.Command.IsLocal():
		return nil
	}
	tlvs, err := h.TLVs()
	if err != nil {
		return &Refusal{Reason: "proxy_header", Err: fmt.Errorf("PROXY header from %s: %w", c.from(), err)}
	}
	c.addr, c.local = addrPort(h.SourceAddr), addrPort(h.DestinationAddr)
	for _, tlv := range tlvs {
		if tlv.Type == proxyproto.PP2_TYPE_AUTHORITY && len(tlv.Value) <= maxNameSNI {
			c.front = clean(string(tlv.Value))
		}
	}
	return nil
}

// readHeaderUntil reads a header before ctx ends.
func readHeaderUntil(ctx context.Context, raw net.Conn) (*proxyproto.Header, error) {
	stop := context.AfterFunc(ctx, func() { raw.SetReadDeadline(longPast) })
	h, err := readHeader(raw)
	if !stop() {
		return nil, ctx.Err()
	}
	return h, err
}

var errNoHeader = errors.New("there is none; this peer is in the listener's proxy_protocol networks, so let it send one or take it out of them")

// readHeader reads a PROXY header to its last octet and not one further: what follows is the client's,
// perhaps a TLS handshake. io.EOF is the end before the first octet.
func readHeader(r io.Reader) (*proxyproto.Header, error) {
	b := make([]byte, len(proxyproto.SIGV2), maxHeaderV1)
	_, err := io.ReadFull(r, b)
	switch {
	case err != nil:
	case bytes.Equal(b, proxyproto.SIGV2):
		b, err = restV2(r, b)
	case bytes.HasPrefix(b, proxyproto.SIGV1):
		b, err = restV1(r, b)
	default:
		err = errNoHeader
	}
	if err != nil {
		return nil, err
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
	if err == nil && !h.Command.IsLocal() && !h.TransportProtocol.IsStream() {
		err = errors.New("it is not for a stream")
	}
	return h, err
}

// restV1 reads a line octet by octet. It is longer than what was read of it, and ends somewhere.
func restV1(r io.Reader, b []byte) ([]byte, error) {
	for len(b) < maxHeaderV1 {
		b = append(b, 0)
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return nil, cutShort(err)
		}
		if b[len(b)-1] == '\n' {
			return b, nil
		}
	}
	return nil, errors.New("the line is longer than 107 octets")
}

// restV2 reads the other 4 octets of the head, and then what they announce.
func restV2(r io.Reader, b []byte) ([]byte, error) {
	head := len(b) + 4
	b = b[:head]
	if _, err := io.ReadFull(r, b[head-4:]); err != nil {
		return nil, cutShort(err)
	}
	size := int(binary.BigEndian.Uint16(b[head-2:]))
	if size > maxHeaderV2 {
		return nil, fmt.Errorf("it announces %d octets, %d are allowed", size, maxHeaderV2)
	}
	b = append(b, make([]byte, size)...)
	if _, err := io.ReadFull(r, b[head:]); err != nil {
		return nil, cutShort(err)
	}
	const proxy, local = 0x21, 0x20
	if b[head-4] == proxy && b[head-3] == byte(proxyproto.UNSPEC) {
		b[head-4] = local // the peer knows no addresses; this is a receiver's choice, and the library refuses it
	}
	return b, nil
}

// cutShort is the error of a header that ends before it is whole.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

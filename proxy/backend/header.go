package backend

import (
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// ProxyHeader says whether a backend is told by the PROXY protocol where the client comes from. The
// header is the first thing on the connection, before TLS. A connection that was opened with one belongs
// to this client for ever: it is never used for another.
type ProxyHeader string

// The versions of the header. The zero value is ProxyOff.
const (
	ProxyOff ProxyHeader = "off"
	ProxyV1  ProxyHeader = "v1" // a line of text
	ProxyV2  ProxyHeader = "v2" // binary, with the session's id as UNIQUE_ID
)

// maxUniqueID is the longest UNIQUE_ID in octets (proxy-protocol.txt section 2.2.5).
const maxUniqueID = 128

// header writes the PROXY header where the backend expects one.
func (b *Conn) header() error {
	var h *proxyproto.Header
	switch b.Config.ProxyProtocol {
	case ProxyV1:
		h = b.origin.header(1)
	case ProxyV2:
		h = b.origin.header(2)
	default:
		return nil
	}
	if _, err := h.WriteTo(b.Net); err != nil {
		return b.Config.fail(Unreachable, "proxy header", err)
	}
	return nil
}

// header is LOCAL, in version 1 UNKNOWN, where the client has no address: the backend then sees the
// connection's own (proxy-protocol.txt section 2). Of two families both are written as IPv6.
func (o *Origin) header(version byte) *proxyproto.Header {
	if !o.Client.IsValid() {
		return &proxyproto.Header{Version: version, Command: proxyproto.LOCAL}
	}
	to := o.Local
	if !to.IsValid() {
		to = netip.AddrPortFrom(unspecified(bare(o.Client.Addr())), 0)
	}
	h := proxyproto.HeaderProxyFromAddrs(version, tcpAddr(o.Client), tcpAddr(to))
	if n := len(o.Session); version == 2 && n > 0 && n <= maxUniqueID {
		// Its only error is a value above 64 KiB.
		_ = h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_UNIQUE_ID, Value: []byte(o.Session)}})
	}
	return h
}

func tcpAddr(a netip.AddrPort) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(bare(a.Addr()), a.Port()))
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

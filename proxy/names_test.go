package proxy

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imapgate/imapgate/proxy/backend"
)

// A backend that moves is followed behind the first login that finds its addresses old; that one waits for
// nobody, and neither does the server's end.
func TestBackendMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialled []string
		var asked, hung atomic.Int32
		answer := "192.0.2.1"
		r := rigStart(t, rigSetup{backend: func(b *backend.Config) {
			dial := b.Dial
			b.Address = "old.example.org:143"
			b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled = append(dialled, address)
				return dial(ctx, network, address)
			}
			b.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
				if asked.Add(1) == 3 { // it hangs
					hung.Add(1)
					<-ctx.Done()
					hung.Add(-1)
					return nil, ctx.Err()
				}
				return []netip.Addr{netip.MustParseAddr(answer)}, nil
			}
		}})
		(&patient{}).start(r)
		r.page("riley", "firetruck")
		r.page("riley", "firetruck")
		rigPass(15 * time.Second)
		answer = "192.0.2.2"
		r.page("riley", "firetruck")
		r.page("riley", "firetruck")
		rigPass(15 * time.Second)
		begin := time.Now()
		r.page("riley", "firetruck")
		if took := time.Since(begin); took != 0 {
			t.Errorf("a resolver that hangs held a login up for %v", took)
		}
		r.page("riley", "firetruck")
		if got, want := strings.Join(dialled, " "), strings.Repeat("192.0.2.1:143 ", 3)+strings.Repeat("192.0.2.2:143 ", 2)+"192.0.2.2:143"; got != want {
			t.Errorf("dialled %s\nwant %s", got, want)
		}
		if asked.Load() != 3 || hung.Load() != 1 {
			t.Errorf("the resolver was asked %d times", asked.Load())
		}
		if err := r.srv.Shutdown(t.Context()); err != nil || hung.Load() != 0 {
			t.Errorf("%v; %d lookups go on", err, hung.Load())
		}
	})
}

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/imapgate/imapgate/cmd/internal/config"
)

func demoCommand() command {
	return command{
		name:    "demo",
		summary: "try it: a proxy, two IMAP servers with mail, a certificate",
		usage:   "demo [-dir DIR] [-servers-only]",
		about: `Makes a certificate, starts two IMAP servers with some mail in memory and the proxy in front of
them, all on loopback ports, and prints what to try. Ctrl-C ends it. Nothing else is needed on the
machine and nothing stays behind, unless -dir names a folder.

The proxy runs with the file demo.yaml that is written to the folder. To run the proxy yourself, start
the servers alone and serve that file, changed or not, in another terminal.`,
		example: `  imapgate demo

  imapgate demo -servers-only -dir /tmp/demo
  imapgate serve -config /tmp/demo/demo.yaml`,
		run: runDemo,
	}
}

// The ports that a demo takes when they are free.
const (
	demoStartTLS = "127.0.0.1:1143"
	demoImplicit = "127.0.0.1:1993"
	demoMetrics  = "127.0.0.1:9143"
)

func runDemo(ctx context.Context, c call) int {
	fs := c.flags()
	dir := fs.String("dir", "", "keep certificate and configuration in this `DIR`, made if missing (default: a temporary folder, removed at the end)")
	only := fs.Bool("servers-only", false, "start the two servers without the proxy")
	if err := c.parse(fs); err != nil {
		return exitOf(err)
	}
	drain, hard, stop := untilSignals(ctx)
	defer stop()
	d, err := newDemo(drain, *dir)
	if err != nil {
		return c.fail(err)
	}
	defer d.close()
	if *only {
		err = d.runServers(drain, c.stdout)
	} else {
		err = d.run(drain, hard, c)
	}
	if err != nil {
		return c.fail(err)
	}
	return exitOK
}

// A demo is the surroundings of a proxy: files, servers, and ports that wait for the proxy.
type demo struct {
	dir     string
	remove  string // folder to remove at the end, or ""
	servers []*demoServer
	ports   demoPorts
}

// demoPorts are the proxy's ports by use.
type demoPorts struct {
	StartTLS, Implicit, Metrics *heldPort
}

// A heldPort is open before the configuration that names it is written, so that nobody can take it in
// between.
type heldPort struct {
	net.Listener
	taken bool
}

// newDemo makes everything but the proxy. What it made is gone again when it fails.
func newDemo(ctx context.Context, dir string) (_ *demo, err error) {
	d := &demo{}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := d.makeDir(dir); err != nil {
		return nil, err
	}
	if d.servers, err = startDemoServers(ctx); err != nil {
		return nil, err
	}
	for preferred, port := range map[string]**heldPort{
		demoStartTLS: &d.ports.StartTLS, demoImplicit: &d.ports.Implicit, demoMetrics: &d.ports.Metrics,
	} {
		if *port, err = holdPort(ctx, preferred); err != nil {
			return nil, err
		}
	}
	return d, d.writeFiles()
}

func (d *demo) makeDir(dir string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "imapgate-demo-"); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		d.remove = dir
	} else if err = os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if d.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	return nil
}

// holdPort opens the preferred address, or any port of its host when that one is taken.
func holdPort(ctx context.Context, preferred string) (*heldPort, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", preferred)
	if err != nil {
		ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("open a port: %w", err)
	}
	return &heldPort{Listener: ln}, nil
}

func (d *demo) held() []*heldPort {
	return []*heldPort{d.ports.StartTLS, d.ports.Implicit, d.ports.Metrics}
}

// listen gives out the port that is held for an address: a [config.ListenFunc].
func (d *demo) listen(ctx context.Context, network, address string) (net.Listener, error) {
	for _, p := range d.held() {
		if !p.taken && p.Addr().String() == address {
			p.taken = true
			return p.Listener, nil
		}
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, network, address)
}

// release closes the ports that nobody took.
func (d *demo) release() {
	for _, p := range d.held() {
		if p != nil && !p.taken {
			p.Close()
			p.taken = true
		}
	}
}

// close ends the servers, frees the ports and removes the temporary folder.
func (d *demo) close() {
	d.release()
	for _, s := range d.servers {
		s.close()
	}
	if d.remove != "" {
		os.RemoveAll(d.remove)
	}
}

// run runs the proxy by the demo's own configuration file until drain ends.
func (d *demo) run(drain, hard context.Context, c call) error {
	cfg, err := config.Load(d.path(demoConfigFile))
	if err != nil {
		return err
	}
	g, err := openGate(drain, cfg, cfg.Log.Logger(c.stderr), d.listen)
	if err != nil {
		return err
	}
	d.release()
	if err := d.printGuide(c.stdout); err != nil {
		g.close()
		return err
	}
	return g.run(drain, hard)
}

// runServers leaves the proxy to the user.
func (d *demo) runServers(drain context.Context, stdout io.Writer) error {
	d.release()
	_, err := fmt.Fprintf(stdout, `Two IMAP servers run. Serve the proxy in another terminal:

  imapgate serve -config %s

Ctrl-C ends the servers.
`, shellWord(d.path(demoConfigFile)))
	<-drain.Done()
	return err
}

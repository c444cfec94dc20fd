package config

import (
	"net/netip"
	"time"
)

// The types of this file are the file's keys, one field a key. The tag choices holds the words that a
// string may be. A type with setDefaults gets them before its keys are read.

type file struct {
	Listeners []listener              `yaml:"listeners"`
	TLS       tlsBlock                `yaml:"tls"`
	Backends  map[string]backendBlock `yaml:"backends"`
	Pools     map[string]pool         `yaml:"pools"`
	Routes    []route                 `yaml:"routes"`

	DefaultDomain   string `yaml:"default_domain"`
	UsersFileShrink string `yaml:"users_file_shrink" choices:"refuse allow"`

	Policy   policy   `yaml:"policy"`
	Limits   limits   `yaml:"limits"`
	Timeouts timeouts `yaml:"timeouts"`
	Metrics  metrics  `yaml:"metrics"`
	Log      logBlock `yaml:"log"`
}

type listener struct {
	Name                string        `yaml:"name"`
	Address             string        `yaml:"address"`
	Mode                fileMode      `yaml:"mode"`
	TLS                 string        `yaml:"tls" choices:"starttls implicit none"`
	AllowPlaintextLogin bool          `yaml:"allow_plaintext_login"`
	ProxyProtocol       proxyProtocol `yaml:"proxy_protocol"`
	Policy              policy        `yaml:"policy"`
}

type proxyProtocol struct {
	Trusted []network `yaml:"trusted"`
}

type tlsBlock struct {
	Certificates []certificate `yaml:"certificates"`
	MinVersion   string        `yaml:"min_version" choices:"1.2 1.3"`
}

type certificate struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

type backendBlock struct {
	Address         string      `yaml:"address"`
	TLS             string      `yaml:"tls" choices:"implicit starttls none"`
	TLSVerify       tlsVerify   `yaml:"tls_verify"`
	ClientCert      certificate `yaml:"client_cert"`
	MinVersion      string      `yaml:"min_version" choices:"1.0 1.1 1.2 1.3"`
	OldCiphers      []string    `yaml:"old_ciphers"`
	SourceAddresses []ipAddress `yaml:"source_addresses"`
	ForwardID       bool        `yaml:"forward_id"`
	ProxyProtocol   string      `yaml:"proxy_protocol" choices:"off v1 v2"`
	EagerLiterals   bool        `yaml:"eager_literals"`
	Weight          int         `yaml:"weight"`
	MaxSessions     int         `yaml:"max_sessions"`
	Reuse           reuse       `yaml:"reuse"`
	Ready           positive    `yaml:"ready"`
	Policy          policy      `yaml:"policy"`
}

type reuse struct {
	Idle        duration `yaml:"idle"`
	Life        duration `yaml:"life"`
	Connections positive `yaml:"connections"`
	PerUser     positive `yaml:"per_user"`
}

type tlsVerify struct {
	CAFile       string `yaml:"ca_file"`
	ServerName   string `yaml:"server_name"`
	PinSHA256    string `yaml:"pin_sha256"`
	InsecureSkip bool   `yaml:"insecure_skip"`
}

type pool struct {
	Backends    []string `yaml:"backends"`
	Balance     string   `yaml:"balance" choices:"user_hash least_sessions round_robin first"`
	SharedStore bool     `yaml:"shared_store"`
}

type route struct {
	Match   match  `yaml:"match"`
	Pool    string `yaml:"pool"`
	Backend string `yaml:"backend"`
	Policy  policy `yaml:"policy"`
}

type match struct {
	User      string    `yaml:"user"`
	UsersFile string    `yaml:"users_file"`
	Listener  string    `yaml:"listener"`
	SNI       string    `yaml:"sni"`
	Network   []network `yaml:"network"`
}

type limits struct {
	Connections       int       `yaml:"connections"`
	ConnectionsPerIP  count     `yaml:"connections_per_ip"`
	ConnectionsExempt []network `yaml:"connections_exempt"`
	SessionsPerUser   count     `yaml:"sessions_per_user"`
	PreauthLine       size      `yaml:"preauth_line"`
	Line              size      `yaml:"line"`
	Literal           size      `yaml:"literal"`
	Append            boundless `yaml:"append"`
	Compressed        count     `yaml:"compressed"`
}

type timeouts struct {
	Handshake duration `yaml:"handshake"`
	Preauth   duration `yaml:"preauth"`
	Connect   duration `yaml:"connect"`
	Login     duration `yaml:"login"`
	Response  duration `yaml:"response"`
	Idle      duration `yaml:"idle"`
	Write     duration `yaml:"write"`
	Park      duration `yaml:"park"`
	Drain     duration `yaml:"drain"`
}

type metrics struct {
	Address string `yaml:"address"`
}

type logBlock struct {
	Level  string `yaml:"level" choices:"debug info warn error"`
	Format string `yaml:"format" choices:"text json"`
}

func (f *file) setDefaults() {
	f.TLS.MinVersion = "1.2"
	f.UsersFileShrink = "refuse"
	f.Policy = defaultPolicy()
	f.Limits = limits{
		Connections:       20000,
		ConnectionsPerIP:  100,
		ConnectionsExempt: []network{network(netip.MustParsePrefix("127.0.0.0/8"))},
		SessionsPerUser:   50,
		PreauthLine:       16 << 10,
		Line:              64 << 10,
		Literal:           64 << 10,
		Compressed:        1000,
	}
	f.Timeouts = timeouts{
		Handshake: duration(10 * time.Second),
		Preauth:   duration(60 * time.Second),
		Connect:   duration(10 * time.Second),
		Login:     duration(30 * time.Second),
		Response:  duration(5 * time.Minute),
		Idle:      duration(31 * time.Minute),
		Write:     duration(60 * time.Second),
		Park:      duration(500 * time.Millisecond),
		Drain:     duration(5 * time.Minute),
	}
	f.Metrics.Address = "127.0.0.1:9143"
	f.Log = logBlock{Level: "info", Format: "text"}
}

func (l *listener) setDefaults() { l.TLS = "starttls" }

func (b *backendBlock) setDefaults() {
	b.TLS = "implicit"
	b.ProxyProtocol = "off"
	b.Weight = 100
}

func (p *pool) setDefaults() { p.Balance = "user_hash" }

// settle fills in the defaults that depend on other keys.
func (f *file) settle() {
	for i := range f.Listeners {
		if ln := &f.Listeners[i]; ln.isUnix() && ln.Mode == 0 {
			ln.Mode = 0o660
		}
	}
	for name, b := range f.Backends {
		if b.TLS != "none" && b.MinVersion == "" {
			b.MinVersion = "1.2"
		}
		if b.Reuse.Idle > 0 {
			b.Reuse.settle()
		}
		f.Backends[name] = b
	}
}

// settle fills in what is not written of connections that are kept.
func (r *reuse) settle() {
	or(&r.Life, duration(10*time.Minute))
	or(&r.Connections, 100)
	or(&r.PerUser, 4)
}

func or[T positive | duration](v *T, preset T) {
	if *v == 0 {
		*v = preset
	}
}

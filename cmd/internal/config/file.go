package config

import "time"

// The types of this file are the file's keys, one field a key. The tag choices holds the words that a
// string may be. A type with setDefaults gets them before its keys are read.

type file struct {
	Listeners []listener              `yaml:"listeners"`
	TLS       tlsBlock                `yaml:"tls"`
	Backends  map[string]backendBlock `yaml:"backends"`
	Routes    []route                 `yaml:"routes"`
	Policy    policy                  `yaml:"policy"`
	Limits    limits                  `yaml:"limits"`
	Timeouts  timeouts                `yaml:"timeouts"`
	Metrics   metrics                 `yaml:"metrics"`
	Log       logBlock                `yaml:"log"`
}

type listener struct {
	Name                string `yaml:"name"`
	Address             string `yaml:"address"`
	TLS                 string `yaml:"tls" choices:"starttls implicit none"`
	AllowPlaintextLogin bool   `yaml:"allow_plaintext_login"`
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
	Address       string    `yaml:"address"`
	TLS           string    `yaml:"tls" choices:"implicit starttls none"`
	TLSVerify     tlsVerify `yaml:"tls_verify"`
	EagerLiterals bool      `yaml:"eager_literals"`
}

type tlsVerify struct {
	CAFile       string `yaml:"ca_file"`
	ServerName   string `yaml:"server_name"`
	PinSHA256    string `yaml:"pin_sha256"`
	InsecureSkip bool   `yaml:"insecure_skip"`
}

type route struct {
	Match   match  `yaml:"match"`
	Backend string `yaml:"backend"`
}

type match struct {
	User string `yaml:"user"`
}

type policy struct {
	XGWMove      string   `yaml:"xgwmove" choices:"announce accept off"`
	Move         string   `yaml:"move" choices:"auto off"`
	PassCommands []string `yaml:"pass_commands"`
}

type limits struct {
	Connections int       `yaml:"connections"`
	PreauthLine size      `yaml:"preauth_line"`
	Line        size      `yaml:"line"`
	Literal     size      `yaml:"literal"`
	Append      boundless `yaml:"append"`
}

type timeouts struct {
	Handshake duration `yaml:"handshake"`
	Preauth   duration `yaml:"preauth"`
	Connect   duration `yaml:"connect"`
	Login     duration `yaml:"login"`
	Response  duration `yaml:"response"`
	Idle      duration `yaml:"idle"`
	Write     duration `yaml:"write"`
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
	f.Policy = policy{XGWMove: "announce", Move: "auto"}
	f.Limits = limits{
		Connections: 20000,
		PreauthLine: 16 << 10,
		Line:        64 << 10,
		Literal:     64 << 10,
	}
	f.Timeouts = timeouts{
		Handshake: duration(10 * time.Second),
		Preauth:   duration(60 * time.Second),
		Connect:   duration(10 * time.Second),
		Login:     duration(30 * time.Second),
		Response:  duration(5 * time.Minute),
		Idle:      duration(31 * time.Minute),
		Write:     duration(60 * time.Second),
		Drain:     duration(5 * time.Minute),
	}
	f.Metrics.Address = "127.0.0.1:9143"
	f.Log = logBlock{Level: "info", Format: "text"}
}

func (l *listener) setDefaults() { l.TLS = "starttls" }

func (b *backendBlock) setDefaults() { b.TLS = "implicit" }

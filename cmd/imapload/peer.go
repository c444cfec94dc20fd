package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

//go:embed peers/*.tmpl
var peerTemplates embed.FS

// A peer is a program to compare, and how it is started.
type peer struct {
	name     string
	program  string   // looked for in PATH and where Debian has servers
	template string   // of its configuration file; "" for none
	args     []string // templates too
	version  []string // what makes it tell its version; nil: it has ours
	told     string   // a regular expression for what it then says, with the version in parentheses
	secure   secureWay
	keep     keepWay
	use      string // what is said where it is missing

	sessionLimit int // the most sessions that wait, where it cannot hold them all; 0 for any number
}

// A secureWay says how clients ask for TLS on both legs.
type secureWay int

const (
	noSecure   secureWay = iota // the peer cannot do it
	secureDoor                  // at a door of its own
	secureUser                  // at the door for TLS, by the user's name
)

// A keepWay says where connections to the backend are kept for the user's next login.
type keepWay int

const (
	noKeep   keepWay = iota
	keepUser         // at the plain door, by the user's name
	keepOnly         // at the plain door, and that is the only one
)

// peers are those of the table, in its order.
func peers(imapgate, self string) []peer {
	return []peer{
		{
			name: "imapgate", program: imapgate, template: "imapgate.yaml.tmpl", secure: secureDoor, keep: keepUser,
			args: []string{"serve", "-config", "{{.Config}}"}, version: []string{"version"}, told: `imapgate (\S+)`, use: "make build",
		},
		{
			name: "nginx", program: "nginx", template: "nginx.conf.tmpl",
			args: []string{"-p", "{{.Dir}}", "-c", "{{.Config}}", "-e", "{{.Dir}}/error.log"}, version: []string{"-v"},
			told: `nginx/(\S+)`, use: "apt-get install nginx libnginx-mod-mail",
		},
		{
			name: "Dovecot", program: "dovecot", template: "dovecot.conf.tmpl", secure: secureUser,
			args: []string{"-F", "-c", "{{.Config}}"}, version: []string{"--version"}, told: `^(\S+)`, use: "apt-get install dovecot-imapd",
		},
		{
			name: "haproxy", program: "haproxy", template: "haproxy.cfg.tmpl", secure: secureDoor,
			args: []string{"-db", "-f", "{{.Config}}"}, version: []string{"-v"}, told: `version (\S+)`, use: "apt-get install haproxy",
		},
		{
			name: "imapproxy", program: "imapproxyd", template: "imapproxy.conf.tmpl", keep: keepOnly,
			args: []string{"-f", "{{.Config}}", "-p", "{{.Dir}}/pid"}, use: "apt-get install imapproxy, and run as root: it wants to become nobody",
		},
		{
			name: "Go relay", program: self, secure: secureDoor, sessionLimit: relaySessions,
			args: []string{
				"relay", "-plain", "127.0.0.1:{{.Plain}}", "-tls", "127.0.0.1:{{.TLS}}", "-secure", "127.0.0.1:{{.Secure}}",
				"-backend", "127.0.0.1:{{.Backend}}", "-secure-backend", "127.0.0.1:{{.SecureBackend}}",
				"-cert", "{{.Cert}}", "-key", "{{.Key}}",
			},
		},
	}
}

// relaySessions is how many sessions the relay holds with the open files that let others hold three times
// as many: between two plain connections io.Copy holds four descriptors of pipes while it waits.
const relaySessions = 3000

// backendPeer is the backend, which is no peer but started like one.
func backendPeer(self string) peer {
	return peer{
		name: "backend", program: self,
		args: []string{"backend", "-plain", "127.0.0.1:{{.Plain}}", "-tls", "127.0.0.1:{{.TLS}}", "-cert", "{{.Cert}}", "-key", "{{.Key}}"},
	}
}

// facts are what the templates are filled with; each peer has its own.
type facts struct {
	Dir, Config               string // its own folder, and its configuration there
	Cert, Key, Pair           string // PEM files; Pair has both
	Plain, TLS, Secure, Extra int    // ports of its own
	Backend, SecureBackend    int    // ports of the backend
	Auth                      string // where nginx asks for users
	Capabilities              string // as nginx wants them
	Clients, Files            int    // at once
	NginxModules              []string
}

// Where Debian puts what the peers need.
const (
	debianMailModule = "/usr/lib/nginx/modules/ngx_mail_module.so"
	debianPrograms   = "/usr/sbin"
)

// find returns the program's file.
func (p peer) find() (string, error) {
	file, err := exec.LookPath(p.program)
	if err != nil {
		file, err = exec.LookPath(filepath.Join(debianPrograms, p.program))
	}
	if err != nil {
		return "", fmt.Errorf("%s is not there: %s", p.program, p.use)
	}
	return filepath.Abs(file)
}

// versionOf asks a program for its version; "" where it tells none.
func (p peer) versionOf(ctx context.Context, file string) string {
	if p.version == nil {
		return ""
	}
	said, err := exec.CommandContext(ctx, file, p.version...).CombinedOutput() // nginx says it on stderr
	if err != nil {
		return ""
	}
	if found := regexp.MustCompile(p.told).FindSubmatch(said); found != nil {
		return string(found[1])
	}
	return ""
}

// prepare writes the peer's configuration and returns its command line.
func (p peer) prepare(f *facts) ([]string, error) {
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return nil, err
	}
	if p.template != "" {
		f.Config = filepath.Join(f.Dir, strings.TrimSuffix(p.template, ".tmpl"))
		if err := writeTemplate(f.Config, p.template, f); err != nil {
			return nil, err
		}
	}
	args := make([]string, len(p.args))
	for i, arg := range p.args {
		var b strings.Builder
		t, err := template.New(strconv.Itoa(i)).Parse(arg)
		if err != nil {
			return nil, err
		}
		if err := t.Execute(&b, f); err != nil {
			return nil, err
		}
		args[i] = b.String()
	}
	return args, nil
}

func writeTemplate(file, name string, f *facts) error {
	t, err := template.ParseFS(peerTemplates, "peers/"+name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, f); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

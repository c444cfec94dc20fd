package main

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/imapgate/imapgate/tlsutil"
)

// The files in the demo's folder.
const (
	demoConfigFile = "demo.yaml"
	demoCertFile   = "demo.crt"
	demoKeyFile    = "demo.key"
)

//go:embed demo.yaml.tmpl demo.txt.tmpl
var demoTemplates embed.FS

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// writeFiles writes the certificate, its key and the configuration.
func (d *demo) writeFiles() error {
	cert, key, err := tlsutil.SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	var yaml strings.Builder
	if err := d.expand(&yaml, "demo.yaml.tmpl"); err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{{demoCertFile, cert, 0o644}, {demoKeyFile, key, 0o600}, {demoConfigFile, []byte(yaml.String()), 0o644}} {
		if err := os.WriteFile(d.path(file.name), file.data, file.mode); err != nil {
			return fmt.Errorf("write the demo's files: %w", err)
		}
	}
	return nil
}

// printGuide prints what runs and what to try.
func (d *demo) printGuide(w io.Writer) error { return d.expand(w, "demo.txt.tmpl") }

func (d *demo) expand(w io.Writer, name string) error {
	t, err := template.ParseFS(demoTemplates, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := t.Execute(w, d.facts()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// demoFacts is what the templates tell.
type demoFacts struct {
	StartTLS, Implicit, Metrics   string // addresses
	CertFile, KeyFile             string // names in the folder
	CertPath, ConfigPath, KeepDir string // for a shell; KeepDir is "" when the folder goes at the end
	Servers                       []demoServerFacts
}

type demoServerFacts struct {
	Name, Address, User, Password, About string
}

func (d *demo) facts() demoFacts {
	f := demoFacts{
		StartTLS:   d.ports.StartTLS.Addr().String(),
		Implicit:   d.ports.Implicit.Addr().String(),
		Metrics:    d.ports.Metrics.Addr().String(),
		CertFile:   demoCertFile,
		KeyFile:    demoKeyFile,
		CertPath:   shellWord(d.path(demoCertFile)),
		ConfigPath: shellWord(d.path(demoConfigFile)),
	}
	if d.remove == "" {
		f.KeepDir = shellWord(d.dir)
	}
	for _, s := range d.servers {
		f.Servers = append(f.Servers, demoServerFacts{s.name, s.address(), s.user, s.password, s.about})
	}
	return f
}

// shellWord quotes a word for a shell where it needs it.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:=@%,", r)
	}
	if strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

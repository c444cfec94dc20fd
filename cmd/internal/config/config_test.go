package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/imapgate/imapgate/proxy"
	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
	"github.com/imapgate/imapgate/tlsutil"
)

var update = flag.Bool("update", false, "write the messages of testdata/invalid-*.yaml anew")

const (
	exampleFile = "../../../config.example.yaml"
	manyFiles   = 1 << 20
)

// Every file testdata/invalid-*.yaml has its exact messages in the comment lines "#! " at its top.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) { testInvalid(t, file) })
	}
}

func testInvalid(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, body := splitMessages(string(data))
	dir := t.TempDir()
	for _, name := range []string{"good", "other"} {
		writePair(t, dir, name)
	}
	write(t, filepath.Join(dir, "users-empty.txt"), []byte("# nobody yet\n\n"))
	write(t, filepath.Join(dir, "users-spaces.txt"), []byte("riley\nmorgan new\n"))
	write(t, filepath.Join(dir, "users-binary.txt"), []byte("\xff\n"))
	name := filepath.Join(dir, filepath.Base(file))
	write(t, name, data)
	_, err = load(name, manyFiles, nil)
	if faults := (Faults)(nil); !errors.As(err, &faults) {
		t.Fatalf("got %v, want faults", err)
	}
	got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	if *update && got != want {
		// The line numbers count the messages, so a change of their number takes two runs.
		write(t, file, []byte("#! "+strings.ReplaceAll(got, "\n", "\n#! ")+"\n"+body))
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// splitMessages takes the expected messages from a file's top.
func splitMessages(data string) (messages, body string) {
	var lines []string
	for strings.HasPrefix(data, "#! ") {
		line, rest, _ := strings.Cut(data, "\n")
		lines, data = append(lines, strings.TrimPrefix(line, "#! ")), rest
	}
	return strings.Join(lines, "\n"), data
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writePair(t *testing.T, dir, name string) {
	t.Helper()
	cert, key, err := tlsutil.SelfSigned("mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+".crt"), cert)
	write(t, filepath.Join(dir, name+".key"), key)
}

// loadText loads a file with this text, in a folder with good.crt, good.key and ca.pem.
func loadText(t *testing.T, text string, descriptors uint64) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	writePair(t, dir, "good")
	name := filepath.Join(dir, "config.yaml")
	write(t, name, []byte(text))
	return load(name, descriptors, nil)
}

const minimal = `
listeners: [{name: imaps, address: ":993", tls: implicit}]
tls: {certificates: [{cert: good.crt, key: good.key}]}
backends: {one: {address: "imap.example.org:993"}}
routes: [{backend: one}]
`

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := loadText(t, text, manyFiles)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func loadExample(t *testing.T) *Config {
	t.Helper()
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writePair(t, dir, "mail.example.org")
	writePair(t, dir, "imapgate")
	write(t, filepath.Join(dir, "moved-users.txt"), []byte("riley@example.org\n"))
	ca, _, err := tlsutil.SelfSigned("ca")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca.pem"), ca)
	name := filepath.Join(dir, "config.yaml")
	write(t, name, data)
	c, err := load(name, manyFiles, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExampleLoads(t *testing.T) {
	c := loadExample(t)
	if len(c.Listeners) != 5 || len(c.Options().Backends) != 5 || len(c.Notes) != 0 {
		t.Errorf("%d listeners, %d backends, notes %q", len(c.Listeners), len(c.Options().Backends), c.Notes)
	}
}

// What the example says of the defaults must be the defaults.
func TestExampleShowsDefaults(t *testing.T) {
	example, def := loadExample(t), mustLoad(t, minimal)
	a, b := example.Options(), def.Options()
	if !reflect.DeepEqual(a.Limits, b.Limits) || a.Timeouts != b.Timeouts {
		t.Errorf("limits %+v and %+v, timeouts %+v and %+v", a.Limits, b.Limits, a.Timeouts, b.Timeouts)
	}
	if describePolicy(a.Policy) != "{}" || !reflect.DeepEqual(b.Policy, translate.DefaultPolicy()) {
		t.Errorf("policies %+v and %+v", a.Policy, b.Policy)
	}
	if example.Log != def.Log || example.MetricsAddress != def.MetricsAddress {
		t.Errorf("%+v and %+v", example, def)
	}
}

func TestExampleHasEveryKey(t *testing.T) {
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	keysShown(place{}, doc.Content[0], reflect.TypeFor[file](), shown)
	all := keysKnown(place{}, reflect.TypeFor[file]())
	if len(all) < 40 {
		t.Errorf("only %d keys are known, the walk is broken", len(all))
	}
	for _, key := range all {
		if i := strings.LastIndex(key, ".policy."); i >= 0 {
			key = key[i+1:] // shown once, for every policy
		}
		if !shown[key] {
			t.Errorf("%s is missing from config.example.yaml", key)
		}
		if isLater(key) {
			t.Errorf("%s works and stands in later.go", key)
		}
	}
}

// keysKnown returns the schema paths of all keys below a type.
func keysKnown(at place, t reflect.Type) (keys []string) {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[scalar]()) {
		return nil
	}
	switch t.Kind() {
	case reflect.Slice:
		return keysKnown(at.index(0), t.Elem())
	case reflect.Map:
		return keysKnown(at.name("x"), t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			p := at.key(f.Tag.Get("yaml"))
			keys = append(append(keys, p.schema), keysKnown(p, f.Type)...)
		}
	}
	return keys
}

// keysShown marks the schema paths of the keys that stand below a node.
func keysShown(at place, n *yaml.Node, t reflect.Type, shown map[string]bool) {
	for i := 0; n.Kind == yaml.SequenceNode && i < len(n.Content); i++ {
		keysShown(at.index(i), n.Content[i], t.Elem(), shown)
	}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		if t.Kind() == reflect.Map {
			keysShown(at.name(name), value, t.Elem(), shown)
			continue
		}
		p := at.key(name)
		shown[p.schema] = true
		if i := strings.LastIndex(p.schema, ".policy."); i >= 0 {
			shown[p.schema[i+1:]] = true
		}
		if f, ok := fieldsOf(t)[name]; ok {
			keysShown(p, value, f.Type, shown)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, minimal)
	o := c.Options()
	exempt := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	want := proxy.Limits{Connections: 20000, PerIP: 100, PerUser: 50, Exempt: exempt, PreauthLine: 16 << 10, Line: 64 << 10, Literal: 64 << 10, Compressed: 1000}
	if !reflect.DeepEqual(o.Limits, want) {
		t.Errorf("limits %+v, want %+v", o.Limits, want)
	}
	if o.Policy.XGWMove != translate.XGWMoveAnnounce || o.Policy.Move != translate.MoveAuto {
		t.Errorf("policy %+v", o.Policy)
	}
	one := o.Backends["one"]
	if one.Connect != o.Timeouts.Connect || one.Name != "one" || one.TLS != backend.Implicit || one.TLSConfig.ServerName != "imap.example.org" {
		t.Errorf("backend %+v", one)
	}
	if one.TLSConfig.InsecureSkipVerify || one.TLSConfig.RootCAs != nil {
		t.Error("the backend is not verified by the system's roots")
	}
	if o.Timeouts.Idle != 31*time.Minute || o.Timeouts.Drain != 5*time.Minute || o.Table == nil {
		t.Errorf("options %+v", o)
	}
	if c.MetricsAddress != "127.0.0.1:9143" || c.Log != (Log{slog.LevelInfo, "text"}) {
		t.Errorf("%+v", c)
	}
}

func TestEverythingWritten(t *testing.T) {
	c := mustLoad(t, `
listeners:
  - {name: a, address: "127.0.0.1:0"}
  - {name: b, address: "127.0.0.1:0", tls: none, allow_plaintext_login: true}
tls: {certificates: [{cert: good.crt, key: good.key}], min_version: 1.3}
backends:
  plain: {address: "127.0.0.1:143", tls: none, eager_literals: true}
  pinned: {address: "10.0.0.1:143", tls: starttls, tls_verify: {pin_sha256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=}}
  named: {address: "10.0.0.1:993", tls_verify: {ca_file: good.crt, server_name: imap}}
routes:
  - {match: {user: "*@a"}, backend: pinned}
  - {backend: plain}
policy: {xgwmove: off, move: off, pass_commands: [xfoo, uid xfoo]}
limits: {connections: 10, connections_per_ip: 3, connections_exempt: [], sessions_per_user: unlimited, preauth_line: 1KiB, line: 2 MiB, literal: 3000, append: 1GiB, compressed: 10}
timeouts: {idle: 1h, drain: 90s}
metrics: {address: ""}
log: {level: debug, format: json}
`)
	o := c.Options()
	if !reflect.DeepEqual(o.Limits, proxy.Limits{Connections: 10, PerIP: 3, PerUser: -1, Exempt: []netip.Prefix{}, PreauthLine: 1 << 10, Line: 2 << 20, Literal: 3000, Append: 1 << 30, Compressed: 10}) {
		t.Errorf("limits %+v", o.Limits)
	}
	if o.Policy.XGWMove != translate.XGWMoveOff || !slices.Equal(o.Policy.PassCommands, []string{"XFOO", "UID XFOO"}) {
		t.Errorf("policy %+v", o.Policy)
	}
	if p := o.Backends["plain"]; p.TLS != backend.None || p.TLSConfig != nil || !p.EagerLiterals {
		t.Errorf("plain %+v", p)
	}
	if p := o.Backends["pinned"]; p.TLS != backend.StartTLS || p.TLSConfig.VerifyConnection == nil {
		t.Errorf("pinned %+v", p)
	}
	if n := o.Backends["named"].TLSConfig; n.ServerName != "imap" || n.RootCAs == nil || n.InsecureSkipVerify {
		t.Errorf("named %+v", n)
	}
	a, b := c.Listeners[0], c.Listeners[1]
	if a.TLS != proxy.StartTLS || a.TLSConfig.MinVersion != 0x0304 || b.TLSConfig != nil || !b.AllowPlaintextLogin {
		t.Errorf("listeners %+v %+v", a, b)
	}
	if c.MetricsAddress != "" || c.Log != (Log{slog.LevelDebug, "json"}) || o.Timeouts.Drain != 90*time.Second {
		t.Errorf("%+v", c)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "named") {
		t.Errorf("notes %q, want one about the unused backend", c.Notes)
	}
}

func TestShortIdleIsNoted(t *testing.T) {
	c := mustLoad(t, minimal+"timeouts: {idle: 5m}\n")
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "RFC 3501 section 5.4") {
		t.Errorf("notes %q", c.Notes)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "-config") {
		t.Errorf("got %v", err)
	}
}

func TestOpen(t *testing.T) {
	var lc net.ListenConfig
	ln := Listener{Name: "a", Address: "127.0.0.1:0", TLS: proxy.NoTLS}
	open, err := ln.Open(t.Context(), lc.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	again := Listener{Name: "b", Address: open.Addr().String()}
	if _, err := again.Open(t.Context(), lc.Listen); err == nil || !strings.Contains(err.Error(), "listener b") {
		t.Errorf("got %v, want an error that names the listener", err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"address", "name", "tls", "tls_verify"}
	for word, want := range map[string]string{
		"adress": "address", "Address": "address", "tsl": "", "tl": "tls", "tls_verfy": "tls_verify", "proxy": "", "xy": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

// Whoever reads the message may be root, whom no mode stops: the error alone counts.
func TestAdviceOnUnreadableFile(t *testing.T) {
	const otherwise = "give another path"
	denied := fmt.Errorf("read the private key: %w", &fs.PathError{Op: "open", Path: "mail.key", Err: syscall.EACCES})
	if got := adviceOnFile(denied, otherwise); !strings.Contains(got, "readable for the user that runs imapgate") {
		t.Errorf("got %q", got)
	}
	if got := adviceOnFile(fs.ErrNotExist, otherwise); got != otherwise {
		t.Errorf("got %q", got)
	}
}
